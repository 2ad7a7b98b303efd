"""The first version, without outlive: two lists in memory, each rewritten as a whole file on every change."""
