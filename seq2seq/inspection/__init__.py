"""Look inside a trained model: attention, gates, search, gradients.

Data first, then the picture. `attention`, `gates`, `search` and `gradients` give plain dataclasses
of NumPy arrays with a `to_json`; `plots` draws them (matplotlib), `terminal` prints them. Only
`gradients` needs torch.
"""
