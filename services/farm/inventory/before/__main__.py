"""`python -m services.farm.inventory.before`: serve on PORT, else 8115."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.inventory.before.app:app", 8115)
