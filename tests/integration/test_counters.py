"""Counters: numbers that are drawn once, in memory and from PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.errors import OutliveError

Make = Callable[..., outlive.Service]


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Make]:
    """Builds services on the test's database."""
    made: list[outlive.Service] = []

    def build(**env: str) -> outlive.Service:
        base = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home"), "OUTLIVE_POLL_S": "0.02"}
        service = outlive.Service("bank", env={**base, **env})
        made.append(service)
        return service

    yield build
    for service in made:
        service.close()


def test_a_legacy_counter_counts_in_memory(make: Make) -> None:
    """In `legacy` a counter is an int that rises by one, however it is drawn from."""
    number = outlive.counter("number", 10, service=make())
    assert (number(), next(number), number.take()) == (10, 11, 12)
    assert [value for value, _ in zip(number, range(2), strict=False)] == [13, 14]


def test_two_members_never_draw_the_same_number(make: Make) -> None:
    """Members draw from blocks of their own; after a crash there are gaps and no repetition."""
    first, second = make(), make()
    draw_a = outlive.counter("number", service=first, phase="dual_write")
    draw_b = outlive.counter("number", service=second, phase="dual_write")
    with second.open():
        first.start()
        drawn = [draw() for _ in range(150) for draw in (draw_a, draw_b)]
        first.crash()
        third = make()
        draw_c = outlive.counter("number", service=third)
        with third.open():
            drawn += [draw_c() for _ in range(10)]
    assert len(set(drawn)) == len(drawn)


def test_a_counter_carries_its_value_into_the_database_and_back(make: Make, until: Callable[..., Any]) -> None:
    """Numbers that memory has drawn are never drawn again after the change of phase, nor the other way round."""
    service = make()
    number = outlive.counter("number", service=service)
    with service.open():
        until(lambda: service.committer.connected)
        assert [number() for _ in range(5)] == [1, 2, 3, 4, 5]
        assert service.database is not None
        with service.database.connect() as conn:
            conn.execute("UPDATE outlive.phase SET phase = 'dual_write' WHERE store = 'number'")
            until(lambda: number.phase == "dual_write")
            assert number() == 6
            conn.execute("UPDATE outlive.phase SET phase = 'legacy' WHERE store = 'number'")
            until(lambda: number.phase == "legacy")
            assert number() > 6


def test_taken_numbers_have_no_gap(make: Make) -> None:
    """A number that a unit takes is written with the unit; one that is undone or refused is given again."""
    service = make()
    number = outlive.counter("number", service=service, phase="dual_write")
    notes = outlive.mapping("notes", dict, service=service, phase="dual_write")
    with service.open():
        with service.unit():
            notes["a"] = {"n": number.take()}
        with pytest.raises(ZeroDivisionError), service.unit():
            notes["b"] = {"n": number.take()}
            raise ZeroDivisionError
        with service.unit():
            notes["c"] = {"n": number.take(), "m": number.take()}
        assert [dict(record) for record in notes.values()] == [{"n": 1}, {"n": 2, "m": 3}]


def test_threads_and_members_take_without_gaps(make: Make) -> None:
    """Two members with four threads each take numbers in their units: all of 1 to 40, each once."""
    members = [make(), make()]
    stores = [
        (
            outlive.counter("number", service=member, phase="dual_write"),
            outlive.mapping("notes", dict, service=member, phase="dual_write"),
        )
        for member in members
    ]
    taken: list[int] = []
    problems: list[OutliveError] = []

    def work(at: int, name: int) -> None:
        number, notes = stores[at]
        try:
            for step in range(5):
                with members[at].unit():
                    value = number.take()
                    notes[f"{at}/{name}/{step}"] = {"n": value}
                taken.append(value)
        except OutliveError as error:
            problems.append(error)

    with members[0].open(), members[1].open():
        threads = [threading.Thread(target=work, args=(at, name)) for at in (0, 1) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert problems == []
    assert sorted(taken) == list(range(1, 41))
