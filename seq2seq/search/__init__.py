"""The beam search, with and without constraints, and the interface of its engines."""
