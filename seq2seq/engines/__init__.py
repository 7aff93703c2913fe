"""What computes the probabilities of the next subword: torch, or ONNX Runtime in 8 bits."""
