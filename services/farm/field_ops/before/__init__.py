"""What the service was: two dicts of dicts in memory."""
