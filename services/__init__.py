"""Reference services: guests of outlive that use its public names only."""
