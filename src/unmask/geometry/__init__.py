"""The landmark scheme, the canonical frame and its transforms, and mask morphology."""
