"""What the service was: a registry in memory that nobody could ask over HTTP, and texts that were judged."""
