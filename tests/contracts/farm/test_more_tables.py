"""The tables of the services for which requirements and facts sheet name tables at most: which, and of what types.

Columns follow the records; `check` in test_every_service.py holds them to the models.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from outlive.postgres.address import Address
from tests.contracts.farm.conftest import PHASES, open_service
from tests.contracts.farm.differing import CONSTRAINTS, rows, tables

CHAT = {"chat_threads", "chat_messages", "chat_participants", "chat_attachments"}
ASKED = {
    "provider_config": {"provider_configs"}, "field_ops": set[str](), "iot_gateway": set[str](), "field_chat": CHAT,
    "inventory": {"inventory_alert_settings"}, "vegetation": {"vra_prescriptions"},
}  # fmt: skip
REASONS = {
    "provider_config_history": "the history was asked for later",
    "fields": "requirement 1 says to migrate the service, and names no table",
    "field_operations": "requirement 1 says to migrate the service, and names no table",
    "devices": "requirement 1 asks for a store that lasts, and names no table",
}
UNIQUE = {
    "chat_threads UNIQUE (tenant_id, scope_type, scope_id)", "chat_participants UNIQUE (thread_id, user_id)",
}  # fmt: skip
# Types that refuse nothing that the APIs accept, and times with a zone.
WIDE = {"text", "_text", "float8", "int8", "numeric", "bool", "timestamptz", "jsonb", "json"}
# The service makes these ids itself; any other text is 404.
UNLIKE = {"vra_prescriptions.id": "uuid"}


@pytest.mark.parametrize("name", sorted(ASKED))
def test_each_table_and_narrow_type_is_named(name: str, new_database: Callable[..., Address], tmp_path: Path) -> None:
    """The tables are those that are asked and those in REASONS; no column is narrower than the API."""
    with open_service(f"services.farm.{name}", PHASES[-1], new_database(), tmp_path, {}) as opened:
        found = tables(opened)
        columns = rows(
            opened,
            "SELECT table_name || '.' || column_name, udt_name FROM information_schema.columns"
            " WHERE table_name = ANY(%s)",
            found,
        )
        unique = {text for (text,) in rows(opened, CONSTRAINTS, found) if "UNIQUE" in text}
    assert found - ASKED[name] == found & set(REASONS)
    assert ASKED[name] <= found
    assert {column: kind for column, kind in columns if kind not in WIDE} == {
        column: kind for column, kind in UNLIKE.items() if column.partition(".")[0] in found
    }
    assert unique == (UNIQUE if name == "field_chat" else set())
