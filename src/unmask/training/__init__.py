"""Training of the four networks by Lightning: a module each, and what they share."""
