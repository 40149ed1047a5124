"""Review: people label the texts that tell the most about a classifier."""
