"""Prompts, label tokens and scoring: the layer under the local back ends."""
