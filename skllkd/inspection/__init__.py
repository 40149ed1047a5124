"""Reports and displays of a fitted classifier."""
