"""One client of the load: what it asks next, and what it enters in the ledger.

Every record belongs to one worker, which works on it one request at a time: so the ledger's order is the order of a
record's life. A worker keeps its newest record for good, therefore no id can be given twice; a record whose last
request has an unknown outcome is never touched again, therefore a late effect has nothing to overwrite.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Any

from services.home_budget.demo.client import Answer, Client
from services.home_budget.demo.entries import Entry, LedgerFile, Row
from services.home_budget.seed import ACCOUNTS, SHOPS, expense_rows, income_rows

NOUNS = ("expense", "income")
MIX = {"create": 30, "patch": 26, "delete": 9, "bulk_delete": 2, "get": 20, "get_deleted": 3, "find": 7, "summary": 3}
FIRST_VERSION_MIX = {"create": 40, "patch": 35, "delete": 10, "list": 15}
ENDLESS = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Load:
    """What all workers have in common."""

    port: int
    workers: int
    pause_ms: float
    seed: int
    first_version: bool


@dataclass
class Share:
    """One worker's records of one collection: ids that exist, ids that it deleted, and the newest it created."""

    live: list[int]
    deleted: list[int] = field(default_factory=list)
    newest: int | None = None

    def deletable(self) -> bool:
        """Whether there is something that may go while a higher id stays."""
        return self.newest is not None and len(self.live) > 1

    def take(self, chance: random.Random) -> int:
        """One existing id other than the newest, which is no longer in the share."""
        at = chance.randrange(len(self.live))
        if self.live[at] == self.newest:
            at = (at + 1) % len(self.live)
        self.live[at], self.live[-1] = self.live[-1], self.live[at]
        return self.live.pop()


class Worker(threading.Thread):
    """Sends requests until told to stop; a request under way is finished and entered."""

    def __init__(self, number: int, given: Load, rows: dict[str, list[Row]], ledger: LedgerFile) -> None:
        super().__init__(name=f"traffic-{number}")
        self.number, self.ledger = number, ledger
        self.chance = random.Random(f"traffic {given.seed} {number}")
        self.client = Client(given.port)
        self.pause_s = given.pause_ms / 1000
        self.mix = FIRST_VERSION_MIX if given.first_version else MIX
        mine = {noun: [row["id"] for row in rows[noun] if row["id"] % given.workers == number] for noun in NOUNS}
        self.shares = {noun: Share(ids) for noun, ids in mine.items()}
        seed = given.seed * 1000 + number
        self.fresh = {"expense": expense_rows(ENDLESS, seed), "income": income_rows(ENDLESS, seed)}
        self.created = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(self.pause_s * self.chance.uniform(0.5, 1.5)):
            noun = self.chance.choices(NOUNS, (5, 1))[0]
            op = self.chance.choices(list(self.mix), list(self.mix.values()))[0]
            entry = getattr(self, f"_{op}")(noun, self.shares[noun])
            if entry is not None:
                self.ledger.write(entry)
                if entry.outcome == "unsent":
                    self.ended.wait(0.05)

    def _create(self, noun: str, share: Share) -> Entry:
        self.created += 1
        fields = {**next(self.fresh[noun]), "notes": f"demo {self.number}-{self.created} {noun}"}
        answer = self.client.ask("POST", f"/api/v1/{noun}", fields)
        row = answer.body[noun] if answer.outcome == "acked" else None
        if row is not None:
            share.live.append(row["id"])
            share.newest = row["id"]
        return _entry("create", noun, answer, key=row and row["id"], fields=fields, seen=row)

    def _patch(self, noun: str, share: Share) -> Entry | None:
        if not share.live:
            return None
        at = self.chance.randrange(len(share.live))
        key, (name, value) = share.live[at], self._change(noun)
        answer = self.client.ask("PATCH", f"/api/v1/{noun}/{key}", {"field": name, "value": value})
        if answer.outcome == "unknown":
            share.live.remove(key)
        seen = answer.body[noun] if answer.outcome == "acked" else None
        return _entry("patch", noun, answer, key=key, fields={name: value}, seen=seen)

    def _change(self, noun: str) -> tuple[str, Any]:
        name = self.chance.choice(("amount", "amount", "category", "account"))
        if name == "amount":
            return name, round(self.chance.uniform(1, 900), 2)
        categories = tuple(SHOPS) if noun == "expense" else ("Salary", "Freelance", "Rent")
        return name, self.chance.choice(ACCOUNTS if name == "account" else categories)

    def _delete(self, noun: str, share: Share) -> Entry | None:
        if not share.deletable():
            return None
        key = share.take(self.chance)
        answer = self.client.ask("DELETE", f"/api/v1/{noun}/{key}")
        self._deleted(answer, share, [key])
        return _entry("delete", noun, answer, key=key)

    def _bulk_delete(self, noun: str, share: Share) -> Entry | None:
        if not share.deletable() or len(share.live) < 5:
            return None
        ids = [share.take(self.chance) for _ in range(3)]
        answer = self.client.ask("POST", f"/api/v1/{noun}/bulk-delete", {"ids": ids})
        self._deleted(answer, share, ids)
        seen = answer.body["count"] if answer.outcome == "acked" else None
        return _entry("bulk_delete", noun, answer, fields={"ids": ids}, seen=seen)

    def _deleted(self, answer: Answer, share: Share, ids: list[int]) -> None:
        if answer.outcome == "acked":
            share.deleted += ids
        elif answer.outcome == "unsent":
            share.live += ids

    def _get(self, noun: str, share: Share) -> Entry | None:
        return self._read_one(noun, self.chance.choice(share.live)) if share.live else None

    def _get_deleted(self, noun: str, share: Share) -> Entry | None:
        return self._read_one(noun, self.chance.choice(share.deleted)) if share.deleted else None

    def _read_one(self, noun: str, key: int) -> Entry:
        answer = self.client.ask("GET", f"/api/v1/{noun}/{key}")
        return _entry("get", noun, answer, key=key, seen=answer.body if answer.outcome == "acked" else None)

    def _find(self, noun: str, _: Share) -> Entry:
        month = f"{self.chance.randrange(2023, 2026)}-{self.chance.randrange(1, 13):02d}"
        answer = self.client.ask("GET", f"/api/v1/{noun}?start_date={month}-01&end_date={month}-28")
        return _entry("find", noun, answer)

    def _list(self, noun: str, _: Share) -> Entry:
        return _entry("list", noun, self.client.ask("GET", f"/api/v1/{noun}"))

    def _summary(self, noun: str, _: Share) -> Entry:
        year = self.chance.randrange(2023, 2026)
        path = f"/api/v1/{noun}/summary?start_date={year}-01-01&end_date={year}-12-31"
        return _entry("summary", noun, self.client.ask("GET", path))


def _entry(op: str, noun: str, answer: Answer, **more: Any) -> Entry:
    return Entry(
        at=round(answer.at, 4), ms=answer.ms, op=op, noun=noun, outcome=answer.outcome, status=answer.status, **more
    )
