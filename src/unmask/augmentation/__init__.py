"""The random views of masked faces that the networks are trained on."""
