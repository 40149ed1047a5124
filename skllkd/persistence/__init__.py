"""Saving, loading and exporting a fitted classifier."""
