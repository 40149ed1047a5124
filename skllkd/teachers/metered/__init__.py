"""Teachers whose answers are stored, counted and limited by a budget."""
