"""Faces from every source, read, framed and written by split."""
