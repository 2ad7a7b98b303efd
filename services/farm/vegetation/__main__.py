"""`python -m services.farm.vegetation`: serve on PORT, else 8090."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.vegetation.api:app", 8090)
