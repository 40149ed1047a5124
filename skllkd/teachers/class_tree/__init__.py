"""Labelling down a tree of classes: a question for each group worth asking about."""
