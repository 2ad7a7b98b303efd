"""What the fault runs found, each as the least schedule that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

import outlive
from outlive.runtime.service import Service
from outlive.stores.mapping import Mapping
from outlive.transfer import backfill

NAME = "found"


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a process start on one database and folder."""
    return {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path), "OUTLIVE_POLL_S": "0.05"}


@pytest.fixture
def service(environment: dict[str, str]) -> Iterator[Service]:
    """A service that is closed when the test ends."""
    made = Service(NAME, env=environment)
    yield made
    made.close()


def things(service: Service, phase: Any = "dual_write") -> Mapping:
    """The mapping of the tests."""
    return outlive.mapping("things", dict, service=service, phase=phase)


def documents(url: str) -> dict[str, Any]:
    """The table's documents by key text."""
    with psycopg.connect(url) as conn:
        return dict(conn.execute("SELECT outlive_key, document FROM found.things").fetchall())


def test_a_change_after_an_undo_is_captured(service: Service, database_url: str) -> None:
    """What an undo puts back into a record is tracked: the next change inside it reaches PostgreSQL."""
    held = things(service)
    service.start()
    held["a"] = {"deep": {"n": 1}, "list": [{"n": 1}]}
    with pytest.raises(ZeroDivisionError), service.unit():
        held["a"]["deep"]["n"] = 2
        held["a"]["list"][0]["n"] = 2
        raise ZeroDivisionError
    held["a"]["deep"]["n"] = 3
    held["a"]["list"][0]["n"] = 3
    assert list(documents(database_url).values()) == [{"deep": {"n": 3}, "list": [{"n": 3}]}]


def test_a_scrub_that_finds_a_changed_alias_first_does_not_wait_for_itself(service: Service, database_url: str) -> None:
    """The unit of a scrub takes in what was changed through the inserter's own name, though it is empty till then."""
    held = things(service)
    service.start()
    mine = {"deep": {"n": 1}}
    held["a"] = mine
    mine["deep"]["n"] = 2
    service.close()
    assert list(documents(database_url).values()) == [{"deep": {"n": 2}}]


def test_a_back_fill_takes_no_live_write_for_a_row_from_before(
    service: Service, database_url: str, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes between the switch and the back-fill's first look neither stop it nor come back once deleted."""
    held = things(service, "legacy")
    service.start()
    held["old"] = {"n": 1}
    look = backfill.read_rows

    def after_writes(conn: psycopg.Connection[Any], store: Any) -> Any:
        held["gone"], held["changed"] = {"n": 1}, {"n": 1}
        rows = look(conn, store)
        held["changed"]["n"] = 2
        del held["gone"]
        return rows

    monkeypatch.setattr(backfill, "read_rows", after_writes)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE outlive.phase SET phase = 'dual_write' WHERE service = %s", (NAME,))
        statement = "SELECT backfill @> %s FROM outlive.phase WHERE service = %s"
        done = (Jsonb({"done": True}), NAME)
        until(lambda: held.phase == "dual_write" and conn.execute(statement, done).fetchall()[0][0])
    assert dict(held) == {"old": {"n": 1}, "changed": {"n": 2}}
    assert sorted(d["n"] for d in documents(database_url).values()) == [1, 2]
