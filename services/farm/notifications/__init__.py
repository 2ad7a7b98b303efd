"""What farmers are told: who is registered, what was said to whom, and what still has to go out."""
