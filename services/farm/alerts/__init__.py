"""Alerts about fields, the rules that raise them, and what was done about each."""
