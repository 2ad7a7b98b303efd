"""`python -m services.facts`: serve on PORT, else 8000."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.facts.api:app", 8000)
