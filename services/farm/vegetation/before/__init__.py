"""What the service was: prescription maps in a dict, the same code as in its sister service."""
