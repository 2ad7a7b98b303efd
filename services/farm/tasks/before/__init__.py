"""What the service was: two dicts in memory."""
