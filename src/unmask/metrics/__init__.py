"""Figures that judge a reconstruction: pure functions, one concept a module."""
