"""The statistical face model from which synthetic faces are sampled, and its fitting."""
