"""Prescription maps: how much of a product each zone of a field gets. Starts as `vegetation` and as `satellite`."""
