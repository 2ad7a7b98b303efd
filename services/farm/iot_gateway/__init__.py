"""Devices in the fields: which there are, what they said last, and when."""
