"""`python -m services.farm.provider_config`: serve on PORT, else 8104."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.provider_config.api:app", 8104)
