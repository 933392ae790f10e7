"""The data sets on disk: splits, shards, and the memory-mapped cache that training reads."""
