"""What the service was: a registry that holds a dict of devices in memory."""
