"""What the service was: dicts, a list and a counter in memory."""
