"""Engines, which compute the probabilities of the next subword: torch, or ONNX Runtime."""
