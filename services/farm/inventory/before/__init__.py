"""What the service was: one dict in memory."""
