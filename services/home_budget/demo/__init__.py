"""`make demo`: the home budget goes from two JSON files to PostgreSQL and back under load, killed on the way.

A client of its own process keeps a ledger of every write that was acknowledged; at the end API and table must hold
exactly what the ledger says.
"""
