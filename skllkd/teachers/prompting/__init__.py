"""Prompts and label tokens, shared by the local back ends."""
