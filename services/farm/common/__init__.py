"""What the farm services share: how one is declared, served, asked for its tenant, and how it answers."""
