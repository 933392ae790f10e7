"""Losses of the segmentation network."""
