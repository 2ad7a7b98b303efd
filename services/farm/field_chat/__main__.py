"""`python -m services.farm.field_chat`: serve on PORT, else 8099."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.field_chat.api:app", 8099)
