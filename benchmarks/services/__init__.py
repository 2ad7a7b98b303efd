"""The farm services in phase `database` beside plain code on the same tables: `python -m benchmarks.services`."""
