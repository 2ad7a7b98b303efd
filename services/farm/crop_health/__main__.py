"""`python -m services.farm.crop_health`: serve on PORT, else 8095."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.crop_health.api:app", 8095)
