"""Drift monitoring: summaries of restored faces, tests against a reference, and reports."""
