"""Serving: a cascade of student and teacher, and its watch."""
