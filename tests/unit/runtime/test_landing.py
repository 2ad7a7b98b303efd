"""What memory learns from a group that has landed, over units whose outcome the test decides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from outlive.commit.group import Merged, Outcome
from outlive.records import canonical
from outlive.runtime.landing import Landing
from tests.unit.stores.test_store import Desk, document


@pytest.mark.parametrize("settled", [True, False])
def test_a_merged_row_does_not_go_over_what_was_written_since(settled: bool) -> None:
    """Others' fields come to record and kept bytes; a later change of this process stays, acknowledged or not."""
    desk = Desk()
    store: Any = desk.store(dict)
    desk.write(lambda: store.proxy.update(k={"a": 0, "b": 0, "c": 0}))
    desk.write(lambda: store.proxy["k"].update(a=1))
    sealed, version = document(store, "k"), store.kept["k"].version
    later, still_open = desk.begin(), desk.begin()
    desk.during(later, lambda: store.proxy["k"].update(a=2))
    desk.units.end(later)
    if settled:
        desk.units.finish(later)
    newest = store.kept["k"].version
    desk.during(still_open, lambda: store.proxy["k"].update(c=3))
    service: Any = SimpleNamespace(units=desk.units, clock=desk.clock)
    row = Merged(store, "k", sealed, version, {"a": 1, "b": 9, "c": 9}, version + 1)
    Landing(service).landed([], Outcome(merged=[row]))
    assert store.proxy["k"] == {"a": 2, "b": 9, "c": 3}
    assert store.kept["k"].encoded == canonical({"b": 9, "c": 9, "a": 2})
    assert store.kept["k"].version == newest
    store.enter("legacy")


def test_a_merged_row_is_what_is_kept_where_nothing_came_since() -> None:
    """Record and kept bytes are the row's, with its version."""
    desk = Desk()
    store: Any = desk.store(dict)
    desk.write(lambda: store.proxy.update(k={"a": 0, "b": 0}))
    kept = store.kept["k"]
    row = Merged(store, "k", {"a": 0, "b": 0}, kept.version, {"a": 0, "d": 1}, kept.version + 1)
    Landing(SimpleNamespace(units=desk.units, clock=desk.clock)).landed([], Outcome(merged=[row]))  # type: ignore[arg-type]
    assert store.proxy["k"] == {"a": 0, "d": 1}
    assert (store.kept["k"].encoded, store.kept["k"].version) == (canonical({"a": 0, "d": 1}), kept.version + 1)
    store.enter("legacy")
