"""`python -m services.farm.satellite`: serve on PORT, else 8090."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.satellite.api:app", 8090)
