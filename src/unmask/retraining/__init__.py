"""Retraining from new faces or changed params, in a clone, up to a version of its own."""
