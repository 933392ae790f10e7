"""Landmarks, the canonical frame and masks as shapes: what every other part measures by."""
