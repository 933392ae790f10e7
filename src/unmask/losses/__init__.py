"""Losses of the four networks: pure functions of tensors, one file per network."""
