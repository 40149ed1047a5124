"""Causal language models read by transformers."""
