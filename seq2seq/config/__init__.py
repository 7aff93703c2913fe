"""Checked, immutable settings of a model, its search and its training (the recipe)."""
