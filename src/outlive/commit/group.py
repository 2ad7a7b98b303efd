"""What one group of units does to PostgreSQL, as steps that do no I/O of their own.

A group is one transaction. It begins with the member's row: `applied` rises by one, so a duplicate, a fenced member
and an unknown outcome are all told by that row. Then, store by store in name order, the advisory lock: shared for
puts, exclusive for deletes and for partitioned tables (I5). Then deletes, children before their parents, and puts and
in-place changes, parents before their children. A key that occurs twice is
folded first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from outlive.commit import failpoints
from outlive.commit.related import broken, let_go, parents_first
from outlive.commit.unit import Change, Unit
from outlive.commit.verdicts import CONTENDED, RELATED, is_refusal
from outlive.commit.writes import (
    Document,
    Key,
    UnitsRefused,
    Unlanded,
    Write,
    clashes,
    fold,
    landing,
    overlaid,
    refused,
    unlanded,
)
from outlive.errors import Conflict, KeyTaken, Unholdable
from outlive.postgres.drive import Ask, Step, apart, at_once, begun, together
from outlive.postgres.upsert import Statements
from outlive.postgres.whole import Prepared
from outlive.records import MISSING, ascii_text, canonical, canonical_text, key_name


class Fenced(Exception):
    """The member's row was changed by somebody else: this process must join again before it writes."""


@dataclass(slots=True)
class Merged:
    """A change that was put on top of what others had done: as its unit sealed it, and the row that came of it."""

    store: Any
    key: Key
    sealed: Document
    sealed_version: int
    document: Document
    version: int


@dataclass(slots=True)
class Outcome:
    """What a group did: rows' versions where PostgreSQL raised them, rows as merged, changes that stay outside."""

    raised: list[tuple[Any, Key, int, int]] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    unlanded: list[Unlanded] = field(default_factory=list)
    reread: list[tuple[Any, Key]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take over what a part of the group did."""
        self.raised += other.raised
        self.merged += other.merged
        self.unlanded += other.unlanded
        self.reread += other.reread


def prepare(stores: dict[str, dict[Key, Write]]) -> None:
    """Turn documents into literals. What a column cannot hold is marked; from dual_read on it refuses its units."""
    for writes in stores.values():
        for write in writes.values():
            if write.error is not None:
                continue
            try:
                if write.document is None:
                    write.store.table.key_literal(write.key)
                else:
                    cells = write.cells or write.store.table.cells(write.key, write.document)
                    write.literals = (*cells, str(write.version), str(write.position))
            except Unholdable as error:
                write.error = write.store.named(error, write.key)
                if write.store.strict:
                    raise UnitsRefused(write.units, write.error) from None


_APPLY = """
UPDATE outlive.member SET applied = %s, seen_at = now()
WHERE id = %s AND epoch = %s AND NOT fenced AND applied = %s RETURNING id
"""
_SURELY_APPLY = Prepared(sql.SQL("WITH mine AS ({}) SELECT 1 / count(*) FROM mine").format(sql.SQL(_APPLY)))


def begin(member: int, epoch: int, seq: int) -> Step[None]:
    """What every write transaction begins with. Raises Fenced if the row is not as this member left it."""
    rows = yield Ask(_APPLY, (seq, member, epoch, seq - 1), _SURELY_APPLY)
    if not rows:
        raise Fenced


def land(
    stores: dict[str, dict[Key, Write]], units: Iterable[Unit], member: int, epoch: int, seq: int
) -> Step[Outcome]:
    """One group, as one transaction. Raises Fenced, UnitsRefused, psycopg.Error."""
    outcome = Outcome()
    steps = [begin(member, epoch, seq)]
    steps += [lock(next(iter(stores[name].values())).store, stores[name].values()) for name in sorted(stores)]
    first, last = _turns(stores, outcome)
    early, late = begun([*steps, *first]), begun(last)
    if not outcome.unlanded and not any(unit.draws for unit in units):
        failpoints.hit("commit.before")
        if (yield from at_once([*early, *late])):
            return outcome
    yield from together(early)
    yield from apart(late)
    yield from save_draws(units)
    yield from save_unlanded(outcome.unlanded, member)
    failpoints.hit("commit.before")
    return outcome


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
_SURELY = {lock: Prepared(lock) for lock in (_LOCK, _LOCK_SHARED)}


def lock(store: Any, writes: Iterable[Write]) -> Step[None]:
    """The store's advisory lock for this transaction: exclusive where it deletes, or no index keeps a key from coming
    twice."""
    name = f"outlive:{store.host.service}/{store.name}"
    alone = store.table.partitioned or any(write.op == "delete" for write in writes)
    statement = _LOCK if alone else _LOCK_SHARED
    yield Ask(statement, (name,), _SURELY[statement])


def _land_store(writes: dict[Key, Write], outcome: Outcome) -> Step[None]:
    by_op = _by_op(writes, outcome)
    for step in (*_deletes(by_op), *_puts(by_op, outcome)):
        yield from step


def _turns(stores: dict[str, dict[Key, Write]], outcome: Outcome) -> tuple[list[Step[None]], list[Step[None]]]:
    """What may go at once, and what goes after it: deletes of records that others let go in the same group."""
    names, late = parents_first(stores), let_go(stores)
    by_op = {name: _by_op(stores[name], outcome) for name in names}
    first = [step for name in reversed(names) if name not in late for step in _deletes(by_op[name])]
    first += [step for name in names for step in _puts(by_op[name], outcome)]
    return first, [step for name in reversed(names) if name in late for step in _deletes(by_op[name])]


def _by_op(writes: dict[Key, Write], outcome: Outcome) -> dict[str, list[Write]]:
    by_op: dict[str, list[Write]] = {"delete": [], "insert": [], "put": [], "keep": [], "patch": []}
    for write in writes.values():
        if write.error is not None:
            outcome.unlanded.append(refused(write))
        elif write.op == "put":
            by_op["insert" if write.expect_absent else "keep" if write.keeps_place else "put"].append(write)
        else:
            by_op[write.op].append(write)
    return by_op


def _deletes(by_op: dict[str, list[Write]]) -> Iterator[Step[None]]:
    if by_op["delete"]:
        yield _delete(by_op["delete"])


def _puts(by_op: dict[str, list[Write]], outcome: Outcome) -> Iterator[Step[None]]:
    if by_op["insert"]:
        yield _insert(by_op["insert"])
    for puts in filter(None, (by_op["put"], by_op["keep"])):
        yield _put(puts, outcome)
    if by_op["patch"]:
        yield _patch(by_op["patch"], outcome)


def _sorted(writes: list[Write]) -> list[Write]:
    """By the key's literal, so that all groups lock in one order."""
    key_literal = writes[0].store.table.key_literal
    return sorted(writes, key=lambda write: write.literals[0] or "" if write.literals else key_literal(write.key))


def _rows(writes: list[Write]) -> list[tuple[str | None, ...]]:
    return [write.literals for write in writes]


def _by_literal(writes: list[Write]) -> dict[Any, Write]:
    return {write.literals[0]: write for write in writes}


def _delete(writes: list[Write]) -> Step[None]:
    table = writes[0].store.table
    writes = _sorted(writes)
    keys = [table.key_literal(write.key) for write in writes]
    statements = Statements.of(table)
    yield statements.ask(statements.delete_live(keys, [write.version for write in writes]))


def _insert(writes: list[Write]) -> Step[None]:
    table = writes[0].store.table
    writes = _sorted(writes)
    keys = _by_literal(writes)
    statements = Statements.of(table)
    rows = yield statements.ask(statements.insert_live(_rows(writes)))
    landed = {row[0] for row in rows}
    for literal, write in keys.items():
        if literal not in landed:
            raise UnitsRefused(write.units, KeyTaken(store=write.store.name, key=key_name(write.key)))


def _put(writes: list[Write], outcome: Outcome) -> Step[None]:
    table = writes[0].store.table
    writes = _sorted(writes)
    statements = Statements.of(table)
    rows = yield statements.ask(statements.put_live(_rows(writes), keep_place=writes[0].keeps_place))
    _note_raised(_by_literal(writes), rows, outcome)


def _patch(writes: list[Write], outcome: Outcome) -> Step[None]:
    table = writes[0].store.table
    writes = _sorted(writes)
    statements = Statements.of(table)
    rows = yield statements.ask(statements.patch_live(_rows(writes), [write.base for write in writes]))
    waiting = _by_literal(writes)
    _note_raised(waiting, rows, outcome)
    for literal, _ in rows:
        waiting.pop(literal, None)
    if waiting:
        yield from _merge(list(waiting.values()), outcome)


def _note_raised(writes: dict[str, Write], rows: list[Any], outcome: Outcome) -> None:
    for literal, version in rows:
        write = writes[literal]
        if version != write.version:
            outcome.raised.append((write.store, write.key, write.version, version))


def _merge(writes: list[Write], outcome: Outcome) -> Step[None]:
    """In-place changes whose row has moved on: merge where the other side changed other fields, else conflict."""
    table = writes[0].store.table
    keys = sorted(table.key_literal(write.key) for write in writes)
    rows = yield Ask(*Statements.of(table).select_keys(keys, lock=True))
    held = {table.key_literal(stored.key): stored for stored in map(table.read, rows)}
    again: list[Write] = []
    for write in writes:
        stored = held.get(table.key_literal(write.key))
        if stored is None:
            _lost(write, "the record was deleted by another writer", outcome)
        elif clashing := clashes(write, stored.document):
            _contend(write, stored, clashing, again, outcome)
        else:
            again.append(_on_top(write, stored, outcome))
    if again:
        yield from _put(again, outcome)


def _on_top(write: Write, stored: Any, outcome: Outcome) -> Write:
    sealed, sealed_version = write.document or {}, write.version
    write.document = merged = overlaid(stored.document, write)
    # the sealed version stands for the sealed bytes, to whoever began there
    write.version = max(write.version, stored.version) + 1
    write.literals = write.store.table.row(write.key, merged, write.version, write.position)
    outcome.merged.append(Merged(write.store, write.key, sealed, sealed_version, merged, write.version))
    return write


def _contend(write: Write, stored: Any, fields: list[str], again: list[Write], outcome: Outcome) -> None:
    if write.store.strict or write.version < stored.version:
        _lost(write, f"another writer changed {', '.join(sorted(fields))}", outcome)
        return
    loser = Unlanded(
        write.store, write.key, "put", stored.version, stored.position, stored.document,
        f"overwritten by a newer change of {', '.join(sorted(fields))}",
    )  # fmt: skip
    outcome.unlanded.append(loser)
    again.append(_on_top(write, stored, outcome))


def _lost(write: Write, reason: str, outcome: Outcome) -> None:
    if write.store.strict:
        raise UnitsRefused(write.units, Conflict(store=write.store.name, key=key_name(write.key), reason=reason))
    outcome.unlanded.append(unlanded(write, reason))
    outcome.reread.append((write.store, write.key))


def one_by_one(
    stores: dict[str, dict[Key, Write]], units: Iterable[Unit], member: int, epoch: int, seq: int
) -> Step[Outcome]:
    """A group that PostgreSQL refused, change by change under savepoints; what is refused goes to unlanded.

    Only for units all of whose stores let the request stand (dual_write). Raises like `land`.
    """
    outcome = Outcome()
    yield from begin(member, epoch, seq)
    for name in sorted(stores):
        yield from lock(next(iter(stores[name].values())).store, stores[name].values())
    writes = [write for name in parents_first(stores) for write in stores[name].values()]
    yield from _each_apart(writes, lambda write, into: _land_store({write.key: write}, into), outcome)
    yield from save_draws(units)
    yield from save_unlanded(outcome.unlanded, member)
    return outcome


Act = Callable[[Write, Outcome], Step[None]]


def _each_apart(writes: list[Write], act: Act, outcome: Outcome) -> Step[None]:
    """Every write under a savepoint of its own; what PostgreSQL refuses is unlanded and the others go on.

    Deferred constraints are checked at once, so that each refusal finds its write and none is left for COMMIT. A
    write that waits for another (a child before its parent) is tried again after it; those that need each other go
    together.
    """
    yield Ask("SET CONSTRAINTS ALL IMMEDIATE")
    waiting, landed = writes, True
    errors: dict[int, psycopg.Error] = {}
    while waiting and landed:
        errors = {}
        for write in waiting:
            error = yield from _tried([write], act, outcome)
            if error is not None:
                errors[id(write)] = error
        landed = len(errors) < len(waiting)
        waiting = [write for write in waiting if id(write) in errors]
        if not landed and len(waiting) > 1:
            waiting = yield from _together(waiting, errors, act, outcome)
    for write in waiting:
        error = errors[id(write)]
        known = broken([write], error)
        reason = known.reason if known else error.diag.message_primary or type(error).__name__
        field = known.field if known else error.diag.column_name
        outcome.unlanded.append(unlanded(write, reason, field or None, error.sqlstate))


def _together(writes: list[Write], errors: dict[int, psycopg.Error], act: Act, outcome: Outcome) -> Step[list[Write]]:
    """Writes that none could land by itself, at once; returns what is still refused. Only those that a constraint
    between rows refused can help each other."""
    related = [write for write in writes if errors[id(write)].sqlstate in RELATED]
    if len(related) > 1 and (yield from _tried(related, act, outcome, deferred=True)) is None:
        return [write for write in writes if write not in related]
    return writes


def _tried(writes: list[Write], act: Act, outcome: Outcome, deferred: bool = False) -> Step[psycopg.Error | None]:
    """None if the writes landed under a savepoint, else why PostgreSQL refused them; nothing of them is left then."""
    made = Outcome()
    yield Ask("SAVEPOINT one")
    try:
        if deferred:
            yield Ask("SET CONSTRAINTS ALL DEFERRED")
        for write in writes:
            yield from act(write, made)
        if deferred:
            yield Ask("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        if not is_refusal(error) and error.sqlstate != CONTENDED:
            raise
        yield Ask("ROLLBACK TO SAVEPOINT one")
        return error
    yield Ask("RELEASE SAVEPOINT one")
    outcome.add(made)
    return None


_DRAW = """
INSERT INTO outlive.counter AS c (service, store, value, updated_at) VALUES (%s, %s, %s, now())
ON CONFLICT (service, store) DO UPDATE SET value = excluded.value, updated_at = now() WHERE c.value < %s
RETURNING value
"""


def save_draws(units: Iterable[Unit]) -> Step[None]:
    """The numbers without gaps that units took. Raises UnitsRefused where the lock was lost and another has one."""
    draws = [(counter, _fresh(unit, counter), unit) for unit in units for counter in unit.draws]
    for counter, numbers, unit in sorted(draws, key=lambda draw: (draw[0].name, draw[1].start)):
        if not numbers:
            continue
        rows = yield Ask(_DRAW, (counter.host.service, counter.name, numbers.stop - 1, numbers.start))
        if not rows:
            reason = f"the number {numbers.start} was taken by another unit while PostgreSQL was away"
            raise UnitsRefused({unit}, Conflict(store=counter.name, key=str(numbers.start), reason=reason))


def _fresh(unit: Unit, counter: Any) -> range:
    """What the unit took itself, where a phase change ended its first part before it."""
    numbers = unit.draws[counter]
    landed = [part.draws[counter].stop for part in unit.earlier if counter in part.draws]
    return range(max([numbers.start, *landed]), numbers.stop)


_UNLANDED = """
INSERT INTO outlive.unlanded (service, store, key, version, op, position, document, field, reason, sqlstate, member)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def save_unlanded(entries: list[Unlanded], member: int) -> Step[None]:
    """Keep changes that did not land, with their bytes and the reason."""
    for e in entries:
        document = None if e.document is None else canonical(e.document)
        values = (
            e.store.host.service, e.store.name, key_name(e.key), e.version, e.op, e.position, document, e.field,
            e.reason, e.sqlstate, member,
        )  # fmt: skip
        yield Ask(_UNLANDED, values)


# -- the journal's form of a unit, and its replay ------------------------------------------------------------------


def to_payload(unit: Unit, group: tuple[int, int] | None) -> bytes:
    """The unit as one journal frame, in JSON. `group`: (member, seq) of a commit whose outcome is unknown."""
    changes = ",".join([_change_text(change) for change in landing(unit)])
    return f'{{"group":{json.dumps(group)},"changes":[{changes}]}}'.encode()


def _change_text(change: Change) -> str:
    facts = {
        "store": change.store.name, "key": key_name(change.key), "op": change.op, "version": change.version,
        "base": change.base, "position": str(change.position),
        "fields": sorted([name for name in change.stamps if name is not None]),
        "before": {name: value for name, value in change.before_values.items() if value is not MISSING},
        "error": None if change.error is None else change.error.facts(), "direct": change.direct,
        "keeps_place": change.keeps_place,
    }  # fmt: skip
    document = change.encoded.decode() if change.encoded is not None else canonical_text(change.document)
    return f'{ascii_text(facts)[:-1]},"document":{document}}}'


def from_payload(payload: bytes, find: Callable[[str], Any], key_of: Callable[[str], Key]) -> list[Write]:
    """The writes of one journal frame. `find` gives the store of a name; raises KeyError for an unknown one."""
    frame = json.loads(payload)
    return [
        Write(
            find(c["store"]), key_of(c["key"]), c["op"], c["document"], c["version"], Decimal(c["position"]), c["base"],
            c["before"], set(c["fields"]), set(), False, (), Unholdable(**c["error"]) if c["error"] else None,
            c.get("direct", False), (), c.get("keeps_place", False),
        )
        for c in frame["changes"]
    ]  # fmt: skip


def payload_stores(payload: bytes) -> set[str]:
    """The names of the stores that this frame changes."""
    return {change["store"] for change in json.loads(payload)["changes"]}


def payload_group(payload: bytes) -> tuple[int, int] | None:
    """(member, seq) of the commit that may have landed this frame already."""
    group = json.loads(payload)["group"]
    return None if group is None else (group[0], group[1])


def replay(writes: Iterable[Write], member: int, epoch: int, seq: int, apart: bool = False) -> Step[Outcome]:
    """Writes from a journal: ordered by their versions against rows and tombstones; losers become unlanded (I4, I5).

    `apart`: each under a savepoint of its own, so that what PostgreSQL refuses becomes unlanded and holds up nothing.
    """
    outcome = Outcome()
    stores = fold(writes, outcome.unlanded)
    yield from begin(member, epoch, seq)
    for name in sorted(stores):
        yield from lock(next(iter(stores[name].values())).store, stores[name].values())
    if apart:
        writes = [write for name in parents_first(stores) for write in stores[name].values()]
        yield from _each_apart(writes, lambda write, into: _replay_all([[write]], into), outcome)
    else:
        yield from _replay_all([list(stores[name].values()) for name in parents_first(stores)], outcome)
    yield from save_unlanded(outcome.unlanded, member)
    return outcome


def _replay_all(stores: list[list[Write]], outcome: Outcome) -> Step[None]:
    """Puts of each store in the order given, then deletes in the reverse of it."""
    last: list[Step[None]] = []
    for writes in stores:
        last += yield from _replay_store(writes, outcome)
    for step in reversed(last):
        yield from step


def _replay_store(writes: list[Write], outcome: Outcome) -> Step[list[Step[None]]]:
    """Replays the puts of one store; returns its deletes."""
    table = writes[0].store.table
    outcome.unlanded += [refused(write) for write in writes if write.error is not None]
    writes = [write for write in writes if write.error is None]
    if not writes:
        return []
    keys = sorted(table.key_literal(write.key) for write in writes)
    rows = yield Ask(*Statements.of(table).select_keys(keys, lock=True))
    held = {table.key_literal(stored.key): stored for stored in map(table.read, rows)}
    puts: list[Write] = []
    deletes: list[Write] = []
    for write in writes:
        stored = held.get(table.key_literal(write.key))
        if stored is not None and stored.version == write.version:
            continue
        if stored is not None and write.keeps_place:
            write.position = stored.position
        if write.op == "delete":
            deletes.append(write)
        elif stored is not None and write.op == "patch" and stored.version != write.base:
            _replay_patch(write, stored, puts, outcome)
        elif stored is not None and stored.version > write.version:
            _outrun(write, outcome)
        else:
            puts.append(write)
    yield from _replay_puts(puts, outcome)
    return [_replay_deletes(deletes, held, outcome)]


def _replay_patch(write: Write, stored: Any, puts: list[Write], outcome: Outcome) -> None:
    clashing = clashes(write, stored.document)
    if clashing and stored.version > write.version:
        _outrun(write, outcome)
        return
    if clashing:
        reason = f"overwritten by a newer change of {', '.join(sorted(clashing))}"
        old = Unlanded(write.store, write.key, "put", stored.version, stored.position, stored.document, reason)
        outcome.unlanded.append(old)
    if stored.version >= write.version and overlaid(stored.document, write) == stored.document:
        return
    puts.append(_on_top(write, stored, outcome))


def _outrun(write: Write, outcome: Outcome) -> None:
    outcome.unlanded.append(unlanded(write, "a newer change had landed when the journal was replayed"))
    outcome.reread.append((write.store, write.key))


def _replay_puts(writes: list[Write], outcome: Outcome) -> Step[None]:
    ready: list[Write] = []
    for write in writes:
        assert write.document is not None
        try:
            write.literals = write.store.table.row(write.key, write.document, write.version, write.position)
        except Unholdable as error:
            outcome.unlanded.append(unlanded(write, error.reason, error.field))
        else:
            ready.append(write)
    if not ready:
        return
    table = ready[0].store.table
    ready = _sorted(ready)
    rows = yield Ask(*Statements.of(table).put_replay(_rows(ready)))
    landed = {row[0] for row in rows}
    for write in ready:
        if table.key_literal(write.key) not in landed:
            outcome.unlanded.append(
                unlanded(write, "a newer change or delete had landed when the journal was replayed")
            )
            outcome.reread.append((write.store, write.key))


def _replay_deletes(writes: list[Write], held: dict[str, Any], outcome: Outcome) -> Step[None]:
    if not writes:
        return
    table = writes[0].store.table
    for write in writes:
        stored = held.get(table.key_literal(write.key))
        if stored is not None and stored.version > write.version:
            _outrun(write, outcome)
    writes = _sorted(writes)
    keys = [table.key_literal(write.key) for write in writes]
    yield Ask(*Statements.of(table).delete_replay(keys, [write.version for write in writes]))
