"""What the service was: a list in an object, cut at a thousand."""
