"""`python -m services.farm.equipment.before`: serve on PORT, else 8101."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.equipment.before.app:app", 8101)
