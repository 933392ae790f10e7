"""Losses of the landmark network."""
