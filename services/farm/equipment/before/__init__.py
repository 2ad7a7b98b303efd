"""What the service was: three dicts in memory."""
