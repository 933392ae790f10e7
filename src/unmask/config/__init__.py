"""params.yaml, typed, and the profiles that are written into it."""
