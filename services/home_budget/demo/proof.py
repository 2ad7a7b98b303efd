"""The end: every acknowledged write must be there, in the API's answer and in PostgreSQL's tables alike."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from services.home_budget.demo.checker import Expected, compare, expected, happened
from services.home_budget.demo.entries import Entry, Row, acknowledged

Found = Mapping[str, list[Row]]
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the ledger proves; `faults` are the first contradictions in words, `contradictions` how many there are."""

    requests: int
    acknowledged: int
    refused: int
    unknown: int
    unknown_creates_there: int
    records: int
    reads_checked: int
    contradictions: int
    faults: list[str] = field(default_factory=list)
    planted_found: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, by a checker that found the loss planted for it."""
        return self.acknowledged > 0 and not self.contradictions and self.planted_found

    def facts(self) -> dict[str, Any]:
        """The proof as plain values for `--json`."""
        return asdict(self) | {"holds": self.holds}


def prove(rows: Found, entries: list[Entry], api: Found, table: Found) -> Proof:
    """The ledger against both sources; `rows` is what was there at the start."""
    wanted = expected(rows, entries)
    found = [str(fault) for fault in wanted.faults]
    found += [
        f"{name}: {fault}" for name, source in (("api", api), ("table", table)) for fault in compare(wanted, source)
    ]
    outcomes = Counter(entry.outcome for entry in entries if entry.is_write)
    return Proof(
        requests=len(entries),
        acknowledged=acknowledged(entries),
        refused=outcomes["refused"],
        unknown=outcomes["unknown"],
        unknown_creates_there=happened(wanted, table),
        records=sum(len(source) for source in table.values()),
        reads_checked=sum(entry.op == "get" and entry.outcome in ("acked", "refused") for entry in entries),
        contradictions=len(found),
        faults=found[:SHOWN],
        planted_found=finds_planted_loss(wanted, table),
    )


def finds_planted_loss(wanted: Expected, table: Found) -> bool:
    """Whether the checker notices one acknowledged record taken away and one value changed, in a copy of the table."""
    planted = copy.deepcopy(dict(table))
    sure = [row for row in planted["expense"] if _is_sure(wanted, row)]
    if len(sure) < 2:
        return False
    planted["expense"].remove(sure[0])
    sure[-1]["amount"] += 0.01
    known = {(fault.kind, fault.key) for fault in compare(wanted, table)}
    fresh = {(fault.kind, fault.key) for fault in compare(wanted, planted)} - known
    return fresh >= {("lost", sure[0]["id"]), ("wrong value", sure[-1]["id"])}


def _is_sure(wanted: Expected, row: Row) -> bool:
    state = wanted.states.get(("expense", row["id"]))
    return state is not None and state.exists is True and len(state.values["amount"]) == 1 and not state.fits(row)
