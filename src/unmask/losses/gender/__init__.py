"""Losses of the gender network."""
