"""The provider configuration service's API, alike in every form."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from tests.contracts.farm.conftest import Form, Opened, in_database, in_every_phase
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.provider_config"
KEY = "mapbox-secret-1234"


def default(tenant: str) -> dict[str, Any]:
    """What a tenant without a configuration has."""
    return {
        "tenant_id": tenant,
        "map_providers": [
            {"provider_name": "openstreetmap", "priority": "primary", "enabled": True},
            {"provider_name": "esri_satellite", "priority": "secondary", "enabled": True},
        ],
        "weather_providers": [{"provider_name": "open_meteo", "priority": "primary", "enabled": True}],
        "satellite_providers": [],
        "is_default": True,
    }


def provider(name: str, key: str | None = None, priority: str = "primary", enabled: bool = True) -> dict[str, Any]:
    """A provider with all that it has."""
    return {"provider_name": name, "api_key": key, "priority": priority, "enabled": enabled}


def put(http: Running, tenant: str, **providers: Any) -> dict[str, Any]:
    """The answer to a new configuration."""
    answer = http.post(f"/config/{tenant}", json={"tenant_id": tenant, **providers})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_without_a_configuration_there_are_defaults(http: Running, tenant: str) -> None:
    """Marked as such; a reset leaves them, whether there was a configuration or not."""
    path = f"/config/{tenant}"
    assert (http.get(path).status_code, http.get(path).json()) == (200, default(tenant))
    reset = {"success": True, "message": "Configuration reset to defaults"}
    assert (http.delete(path).status_code, http.delete(path).json()) == (200, reset)
    put(http, tenant, map_providers=[{"provider_name": "x"}])
    assert http.delete(path).json() == reset
    assert http.get(path).json() == default(tenant)


def test_a_configuration_is_replaced_as_a_whole(http: Running, tenant: str) -> None:
    """With its keys in clear and the defaults of entries; the path says whose it is, what else was sent is ignored."""
    given = {
        "map_providers": [{"provider_name": "mapbox", "api_key": KEY, "more": 1}, provider("", "", "disabled", False)],
        "weather_providers": [{"provider_name": "الطقس", "priority": "tertiary", "api_key": None}],
    }
    stored = {
        "tenant_id": tenant,
        "map_providers": [provider("mapbox", KEY), provider("", "", "disabled", False)],
        "weather_providers": [provider("الطقس", None, "tertiary")],
        "satellite_providers": [],
    }
    assert put(http, tenant, **{**given, "tenant_id": "another", "is_default": True}) == {
        "success": True, "config": stored,
    }  # fmt: skip
    assert http.get(f"/config/{tenant}").json() == stored
    assert http.get("/config/another").json() == default("another")
    empty = {"tenant_id": tenant, "map_providers": [], "weather_providers": [], "satellite_providers": []}
    assert put(http, tenant)["config"] == empty
    assert http.get(f"/config/{tenant}").json() == empty


@pytest.mark.parametrize(
    "body",
    [
        {}, {"tenant_id": None}, {"tenant_id": "x", "map_providers": None},
        {"tenant_id": "x", "map_providers": [{"api_key": "k"}]},
        {"tenant_id": "x", "weather_providers": [{"provider_name": "a", "priority": "last"}]},
        {"tenant_id": "x", "satellite_providers": [{"provider_name": "a", "enabled": None}]},
        {"tenant_id": "x", "satellite_providers": [{"provider_name": "a", "api_key": 5}]},
    ],
)  # fmt: skip
def test_a_body_that_is_no_configuration_is_refused(http: Running, tenant: str, body: dict[str, Any]) -> None:
    """422 with the place, and nothing is stored."""
    answer = http.post(f"/config/{tenant}", json=body)
    assert answer.status_code == 422
    assert {"type", "loc", "msg"} <= set(answer.json()["detail"][0])
    assert http.get(f"/config/{tenant}").json()["is_default"] is True


def test_tenants_have_their_own(http: Running, tenant: str, form: Form) -> None:
    """What one tenant stores, resets or asks for is never another's."""
    other = f"{tenant}-other"
    put(http, tenant, map_providers=[provider("mapbox", KEY)])
    assert http.get(f"/config/{other}").json() == default(other)
    http.delete(f"/config/{other}")
    assert http.get(f"/config/{tenant}").json()["map_providers"] == [provider("mapbox", KEY)]
    if form.ours:
        assert http.get(f"/config/{other}/history").json()["total"] == 0


def test_health(http: Running, form: Form) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert body["status"] == "healthy"
    if form.ours:
        assert body["database"] == ("disconnected" if form.phase == "legacy" else "connected")


@in_every_phase
def test_history_shows_changes_and_no_keys(http: Running, tenant: str) -> None:
    """The newest first, in pages; of a long key the last four characters are seen, of a short one none."""
    put(http, tenant, map_providers=[provider("mapbox", KEY), provider("short", "12345678"), provider("none")])
    http.delete(f"/config/{tenant}")
    http.delete(f"/config/{tenant}")
    put(http, tenant)
    body = http.get(f"/config/{tenant}/history").json()
    assert [each["action"] for each in body["history"]] == ["updated", "reset", "updated"]
    assert {name: body[name] for name in ("total", "limit", "offset")} == {"total": 3, "limit": 50, "offset": 0}
    first = body["history"][2]
    assert set(first) == {"change_id", "action", "changed_at", "config"}
    assert [each["api_key"] for each in first["config"]["map_providers"]] == ["****1234", "****", None]
    assert body["history"][1]["config"] is None
    page = http.get(f"/config/{tenant}/history", params={"limit": 1, "offset": 1}).json()
    assert page["history"] == body["history"][1:2]
    assert http.get(f"/config/{tenant}/history", params={"limit": 0}).status_code == 422


@in_every_phase
def test_no_key_is_logged(http: Running, tenant: str, caplog: pytest.LogCaptureFixture) -> None:
    """Changes are logged with masked keys, at every level and by everybody."""
    caplog.set_level(logging.DEBUG)
    put(http, tenant, weather_providers=[provider("sky", KEY)])
    http.get(f"/config/{tenant}")
    http.post(f"/config/{tenant}", json={"tenant_id": tenant, "map_providers": [{"api_key": KEY}]})
    assert KEY not in caplog.text
    assert "****1234" in caplog.text


@in_database
def test_keys_are_stored_encrypted(opened: Opened, http: Running, tenant: str) -> None:
    """No column of any table has one in clear; each time it is another text."""
    put(http, tenant, map_providers=[provider("a", KEY), provider("b", KEY)])
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        tables = [row[0] for row in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        texts = [
            row[0]
            for name in tables
            for row in conn.execute(psycopg.sql.SQL("SELECT t::text FROM {} t").format(psycopg.sql.Identifier(name)))
        ]
        found = conn.execute(
            "SELECT map_providers::jsonb FROM provider_configs WHERE tenant_id = %s", (tenant,)
        ).fetchall()
    assert not any(KEY in text for text in texts)
    one, other = (each["api_key"] for each in found[0][0])
    assert one != other
    assert one.startswith("gAAAA")


@in_every_phase
def test_a_new_key_reads_what_the_old_one_wrote(http: Running, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the old one stands behind it; without it, and with no Fernet key, the answer is a 503 that says so."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setenv("PROVIDER_CONFIG_KEY", old)
    put(http, tenant, map_providers=[provider("a", KEY)])
    path = f"/config/{tenant}"
    monkeypatch.setenv("PROVIDER_CONFIG_KEY", f"{new}, {old}")
    assert http.get(path).json()["map_providers"][0]["api_key"] == KEY
    for wrong in (new, "secret"):
        monkeypatch.setenv("PROVIDER_CONFIG_KEY", wrong)
        answer = http.get(path)
        assert (answer.status_code, "PROVIDER_CONFIG_KEY" in answer.json()["detail"]) == (503, True)
    assert http.post(path, json={"tenant_id": tenant, "map_providers": [provider("a", KEY)]}).status_code == 503
    monkeypatch.setenv("PROVIDER_CONFIG_KEY", old)
    assert http.get(path).json()["map_providers"][0]["api_key"] == KEY


@in_database
def test_without_the_setting_a_key_is_made_once(http: Running, tenant: str) -> None:
    """In outlive's folder, for its owner alone."""
    put(http, tenant, map_providers=[provider("a", KEY)])
    path = Path(os.environ["OUTLIVE_HOME"]) / "provider_config.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    held = path.read_text()
    put(http, tenant, map_providers=[provider("b", KEY)])
    assert path.read_text() == held
