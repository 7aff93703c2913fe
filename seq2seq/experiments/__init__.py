"""Experiments: grids of recipes, settings and seeds, trained and put into a table."""
