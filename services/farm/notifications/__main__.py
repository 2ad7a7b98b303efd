"""`python -m services.farm.notifications`: serve on PORT, else 8110."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.notifications.api:app", 8110)
