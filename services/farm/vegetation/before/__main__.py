"""`python -m services.farm.vegetation.before`: serve on PORT, else 8090."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.vegetation.before.app:app", 8090)
