"""Evaluate models: test sets translated and scored, and two systems compared."""
