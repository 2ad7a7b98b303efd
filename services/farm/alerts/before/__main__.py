"""`python -m services.farm.alerts.before`: serve on PORT, else 8107."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.alerts.before.app:app", 8107)
