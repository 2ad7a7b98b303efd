"""`python -m services.farm.satellite.before`: serve on PORT, else 8090."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.satellite.before.app:app", 8090)
