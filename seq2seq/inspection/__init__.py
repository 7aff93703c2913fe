"""Look inside a trained model: attention, gates, search, gradients.

Data first, then the picture. `activations`, `search_tree`, `gradients` and `neurons` compute plain
dataclasses of NumPy arrays with a `to_json`; `plots` draws them with matplotlib, and `terminal`
prints them. Only `gradients` needs torch.
"""
