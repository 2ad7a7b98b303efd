"""The way back without PostgreSQL: when a member refuses, and what the files keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from outlive.phases.machine import Phase
from outlive.phases.orders import Answer, Circumstances, Desk, ImageOrder, Position, Standing, Target, refusal, several


def order(to: Target | None = "dual_write", **more: Any) -> ImageOrder:
    """An order as the command writes it."""
    return ImageOrder(service="shop", store="items", to=to, actor="me@here", reason="why", **more)


def now(phase: Phase = "dual_read", **more: Any) -> Circumstances:
    """A member in `phase` that cannot reach PostgreSQL."""
    return Circumstances(phase=phase, **{"kind": "mapping", "away": True, **more})


@pytest.mark.parametrize(
    ("asked", "met", "words"),
    [
        (order(), now(), None),
        (order("legacy"), now(), None),
        (order("legacy"), now("dual_write"), None),
        (order(), now("dual_write"), None),
        (order(None), now("database", kind=None, away=False), None),
        (order(), now(kind=None), "no such store|outlive status"),
        (order(), now(kind="counter"), "no image|start PostgreSQL"),
        (order(), now("database"), "no process holds its records|OUTLIVE_ACCEPT_STALE=true"),
        (order(), now("legacy"), "dual_write lies ahead of legacy|outlive advance shop/items --to dual_write"),
        (order(), now(away=False), "PostgreSQL answers|outlive rollback shop/items --to dual_write"),
        (order(force=True), now(away=False), None),
        (order(), now(pinned=("OUTLIVE_PHASE", "dual_read")), "OUTLIVE_PHASE pins it to dual_read|OUTLIVE_PHASE unset"),
        (order(), now(pinned=("OUTLIVE_PHASE", "dual_write")), None),
    ],
)
def test_a_member_refuses_with_a_reason_and_a_next_command(
    asked: ImageOrder, met: Circumstances, words: str | None
) -> None:
    """Only what an image can answer is done; everything else names why and what to do."""
    found = refusal(asked, met)
    if words is None:
        assert found is None
    else:
        reason, following = words.split("|")
        assert found is not None
        assert reason in found[0]
        assert following in found[1]


def test_more_than_one_member_by_either_count() -> None:
    """Processes of this machine and the last report of all both count."""
    assert [several(*counts) for counts in ((0, 0), (1, 1), (0, 1), (2, 1), (1, 2))] == [False] * 3 + [True] * 2


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Orders, answers and what stands survive as files, under names that no store can break out of."""
    desk = Desk(tmp_path, "shop/../x")
    given = ImageOrder(service="shop/../x", store="../items", to="legacy", actor="me", reason="é")
    assert desk.stores() == []
    assert (desk.order("../items"), desk.standing("../items"), desk.answers(given)) == (None, None, [])
    desk.put_order(given)
    position = Position(version=5, member=2, group=7, records=3, heard_s=1.5)
    standing = Standing(order=given, phase_before="dual_read", epoch=4, position=position)
    desk.put_standing(standing)
    answer = Answer(order=given.id, state="done", phase_before="dual_read", phase="legacy", pid=1, position=position)
    desk.put_answer("../items", "one", answer)
    desk.put_answer(
        "../items", "two", Answer(order="other", state="done", phase_before="legacy", phase="legacy", pid=2)
    )
    assert desk.stores() == ["../items"]
    assert all(path.is_relative_to(tmp_path / "orders") for path in tmp_path.rglob("*.json"))
    assert desk.order("../items") == given
    assert desk.standing("../items") == standing
    assert desk.answers(given) == [answer]
    desk.drop_answers("../items")
    desk.drop_standing("../items")
    desk.drop_standing("../items")
    assert (desk.standing("../items"), desk.answers(given)) == (None, [])


def test_an_order_is_taken_away_only_by_its_own_name(tmp_path: Path) -> None:
    """A newer order of another operator stays when the older one is dropped."""
    desk = Desk(tmp_path, "shop")
    older, newer = order(), order("legacy")
    desk.put_order(newer)
    desk.drop_order(older)
    assert desk.order("items") == newer
    desk.drop_order(newer)
    assert desk.order("items") is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"order": {}}', '{"order": null, "phase_before": "x", "epoch": 1}'])
def test_a_file_that_is_no_order_counts_as_none(tmp_path: Path, text: str) -> None:
    """What cannot be understood is no order: nobody moves because of it."""
    desk = Desk(tmp_path, "shop")
    folder = desk.folder("items")
    folder.mkdir(parents=True)
    for name in ("order.json", "standing.json", "x.answer.json"):
        (folder / name).write_text(text)
    assert (desk.order("items"), desk.standing("items"), desk.answers(order())) == (None, None, [])


def test_names_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    """An order with fields that this version does not know is read by those it knows."""
    desk = Desk(tmp_path, "shop")
    given = order()
    path = desk.put_order(given)
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "blue"}))
    assert desk.order("items") == given


def test_a_seat_is_held_as_long_as_its_process_lives(tmp_path: Path) -> None:
    """A living member counts once, a dead one not at all, and what it left is removed."""
    desk = Desk(tmp_path, "shop")
    handle = desk.take_seat("mine")
    assert handle is not None
    assert desk.take_seat("mine") is None
    assert desk.seats() == [os.getpid()]
    code = "import sys, pathlib, outlive.phases.orders as o; o.Desk(pathlib.Path(sys.argv[1]), 'shop').take_seat('x')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len(list((tmp_path / "members" / "shop").iterdir())) == 2
    assert desk.seats() == [os.getpid()]
    assert len(list((tmp_path / "members" / "shop").iterdir())) == 1
    os.close(handle)
    assert desk.seats() == []


def test_a_position_says_what_is_known() -> None:
    """Group and member, version with its time, records, and how long PostgreSQL has been silent."""
    known = str(Position(version=1 << 40, member=3, group=41, records=12, heard_s=4.2))
    assert known.startswith("group 41 of member 3, version 1099511627776 of 2020-01-01")
    assert known.endswith("Z, 12 records; PostgreSQL last answered 4 s ago")
    assert str(Position(records=1)) == "version 0 of ?, 1 records"
