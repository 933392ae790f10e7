"""The typed form of params.yaml, and the profiles that are written into it."""
