"""Experiments: train a grid of recipes, settings and seeds, and compare the results in a table."""
