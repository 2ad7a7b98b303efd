"""`python -m services.farm.billing.before`: serve on PORT, else 8089."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.billing.before.app:app", 8089)
