"""`python -m services.farm.billing`: serve on PORT, else 8089."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.billing.api:app", 8089)
