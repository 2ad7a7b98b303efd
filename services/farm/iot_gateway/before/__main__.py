"""`python -m services.farm.iot_gateway.before`: serve on PORT, else 8096."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.iot_gateway.before.app:app", 8096)
