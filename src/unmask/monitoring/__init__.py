"""Whether production still looks like training: summaries, batches of them, drift and reports."""
