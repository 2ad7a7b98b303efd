"""Reading reports: what members write as JSON becomes figures, absent things stay absent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from outlive.phases.reading import moment, read_figures, read_stores
from outlive.postgres.drive import Ask, Rows, Step

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scripted(step: Step, *answers: Rows):
    """Result of `step` when its asks are answered in turn."""
    ask = next(step)
    for rows in answers:
        assert isinstance(ask, Ask)
        try:
            ask = step.send(rows)
        except StopIteration as done:
            return done.value
    raise AssertionError("the step wants more answers")


def test_moments_are_always_aware() -> None:
    """ISO text, seconds and nothing are understood; a naive time is UTC; anything else is an error."""
    assert moment(None) is None
    assert moment("2026-01-01T02:00:00+02:00") == NOW
    assert moment("2026-01-01T00:00:00") == NOW
    assert moment(NOW.timestamp()) == NOW
    assert moment(NOW.astimezone(timezone(timedelta(hours=3)))) == NOW
    with pytest.raises(ValueError, match="yesterday"):
        moment("yesterday")


def test_an_empty_report_gives_a_member_without_figures() -> None:
    """A member that has not reported yet, and a rehearsal nobody made, are figures without values."""
    figures = scripted(
        read_figures("farm", "tasks"),
        [("legacy", 1, 1, NOW, 3.0, None, None, False, None, {"records": 1})],
        [(7, None, None, 1, {}, False, False, None, True), (8, "h", 3, 1, {"stores": None}, True, False, 2.0, False)],
        [(0,)],
        [],
        [(16, 97)],
    )
    empty, left = figures.members
    assert (empty.host, empty.pid, empty.query_p95_ms, empty.backfill, empty.live) == ("", 0, None, {}, True)
    assert left.left
    assert not left.lapsed
    assert figures.rehearsal is None
    assert figures.parity is None
    assert figures.worst("pool_use") is None


def test_stores_are_named_by_service_and_store() -> None:
    """A store's name shows both halves of its identity."""
    (found,) = scripted(read_stores(), [("farm", "tasks", "legacy")])
    assert str(found) == "farm/tasks"
