"""The statistical face model that synthetic faces are sampled from, and its fitting."""
