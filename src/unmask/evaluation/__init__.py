"""Evaluation of the product against baselines."""
