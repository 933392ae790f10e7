"""The registered model `unmask`: packing, gate, promotion, rollback and loading by alias."""
