"""Figures that judge a reconstruction: pure functions of numpy arrays or tensors."""
