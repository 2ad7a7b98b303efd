"""What the service was: one dict in memory, with the keys in clear."""
