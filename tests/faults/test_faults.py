"""A sample of `make faults` for CI, and the proof that its checker sees what it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.campaign import Campaign
from tests.faults.ledger import Image, Ledger, compare
from tests.faults.scenarios import Scenario, faults, scenario

SEED = 20262
SAMPLE = (
    "commit.before", "commit.after", "ack.before", "image.after", "journal.after_write", "drain.before_mark",
    "file.before_sync", "backfill.chunk", "cut after commit, then away", "cut before commit", "disk full",
    "server killed, then process",
)  # fmt: skip
pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    """A campaign with a server of its own, which runs may kill."""
    with Campaign() as one:
        yield one


@pytest.mark.parametrize("fault", SAMPLE)
def test_a_fault_loses_nothing_that_was_acknowledged(campaign: Campaign, fault: str) -> None:
    """After the fault nothing acknowledged is lost, no unit is there in part, and image, table and file are one."""
    result = campaign.run(scenario(SEED, faults().index(fault), fault))
    print(f"seed {SEED}: {result.scenario.title}: {result.acks} acknowledged, {result.refusals} refused")
    assert [str(violation) for violation in result.violations] == []
    assert result.acks > 5
    assert result.reached, "the fault did not happen, so nothing was proved"


def test_the_same_seed_gives_the_same_runs() -> None:
    """Seed and number decide a run, so it can be repeated; every fault has its turns."""
    first: list[Scenario] = [scenario(5, number) for number in range(len(faults()))]
    assert first == [scenario(5, number) for number in range(len(faults()))]
    assert sorted(one.fault for one in first) == sorted(faults())


# -- the checker ------------------------------------------------------------------------------------------------------

RECORD = {"note": "a", "tags": []}


def unit(number: str, outcome: str | None, *ops: list[Any]) -> list[dict[str, Any]]:
    """The ledger's lines of one unit of t1; without an outcome it was open when the process was killed."""
    lines: list[dict[str, Any]] = [{"kind": "intent", "id": number, "owner": "t1", "ops": list(ops)}]
    return lines if outcome is None else [*lines, {"kind": outcome, "id": number}]


LINES = [
    *unit("1", "ack", ["put", "things", "t1:0", RECORD], ["put", "events", "t1:a", {"id": "t1:a", "n": 1}]),
    *unit("2", "ack", ["put", "things", "t1:1", RECORD], ["set", "hot", "hot-0", ["t1"], {"n": 1}]),
    *unit("3", "ack", ["del", "things", "t1:0"], ["set", "events", "t1:a", ["n"], 2]),
    *unit("4", "refused", ["put", "things", "t1:2", RECORD], ["set", "hot", "hot-0", ["t1", "n"], 9]),
    *unit("5", "ack", ["put", "things", "t1:3", RECORD], ["push", "things", "t1:1", ["tags"], 7]),
    *unit("6", None, ["put", "things", "t1:4", RECORD], ["del", "events", "t1:a"]),
]
FOUND: dict[str, Any] = {
    "things": [["hot-0", {"t1": {"n": 1}}], ["t1:1", {"note": "a", "tags": [7]}], ["t1:3", RECORD]],
    "events": [{"id": "t1:a", "n": 2}],
    "rows": [],
}


def kinds(change: Callable[[dict[str, Any]], object]) -> set[str]:
    """The kinds of violation that the checker sees once `change` has been done to what was found."""
    ledger = Ledger()
    for line in LINES:
        ledger.read(line)
    found = copy.deepcopy(FOUND)
    change(found)
    return {violation.kind for violation in ledger.check(Image.of(found))}


def test_the_checker_accepts_an_open_unit_whole_or_absent() -> None:
    """What was open at the kill may be there or not."""
    assert kinds(lambda found: None) == set()
    assert kinds(lambda found: (found["things"].append(["t1:4", RECORD]), found["events"].clear())) == set()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda found: found["things"].pop(), "lost"),
        (lambda found: found["things"][1][1]["tags"].clear(), "lost"),
        (lambda found: found["events"][0].update(n=1), "lost"),
        (lambda found: found["things"][0][1].clear(), "lost"),
        (lambda found: found["things"].append(["t1:4", RECORD]), "partial"),
        (lambda found: found["events"].clear(), "partial"),
        (lambda found: found["things"].append(["t1:0", RECORD]), "resurrected"),
        (lambda found: found["things"].append(["t1:2", RECORD]), "refused"),
        (lambda found: found["things"][0][1].update(t1={"n": 9}), "refused"),
        (lambda found: found["things"].append(["t1:9", RECORD]), "unexplained"),
        (lambda found: found["things"].append(["t8:0", RECORD]), "unexplained"),
        (lambda found: found["things"].append(found["things"][1]), "unexplained"),
        (lambda found: found["things"][1][1].update(note=1), "unexplained"),
        (lambda found: found["things"].reverse(), "order"),
    ],
)
def test_the_checker_sees_a_planted_fault(change: Callable[[dict[str, Any]], object], kind: str) -> None:
    """A planted loss, partial unit, resurrected delete, refused change or wrong order is called by its name."""
    assert kind in kinds(change)


def test_the_comparison_sees_content_and_order() -> None:
    """An image that differs from its table or file in a record, a type or the order is told."""
    image = Image([("a", {"n": 1}), ("b", {"n": 2})], [], [{"id": 1}])
    assert compare(image, image, [{"id": 1}]) == []
    assert [v.kind for v in compare(image, Image(image.things[::-1], [], image.rows))] == ["table"]
    assert [v.kind for v in compare(image, Image([("a", {"n": 1.0}), ("b", {"n": 2})], [], image.rows))] == ["table"]
    assert [v.kind for v in compare(image, image, [{"id": "1"}])] == ["file"]
