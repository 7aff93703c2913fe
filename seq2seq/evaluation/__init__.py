"""Evaluate models: translate and score test sets, and compare two systems."""
