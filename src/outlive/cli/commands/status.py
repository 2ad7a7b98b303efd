"""`outlive status`: where each store stands, and what keeps it from going on."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from outlive.cli import output, session
from outlive.cli.changing import flags_text
from outlive.cli.options import AnyStore, AsJson
from outlive.phases.control import Limits, read_figures, read_stores
from outlive.phases.figures import Figures, Member
from outlive.phases.flags import flags_of
from outlive.phases.gates import Gate, closed, gates_of
from outlive.phases.machine import MOVES, next_phase
from outlive.postgres.drive import drive

NAME = "status"
COLUMNS = ("store", "phase", "flags", "epoch", "members", "journal", "back-fill", "parity", "unlanded", "pins", "next")
MEMBER_COLUMNS = ("member", "process", "state", "epoch", "seen", "records", "memory", "journal", "open units", "pin")


def command(store: AnyStore = None, json: AsJson = False) -> None:
    """Show where each store stands.

    Phase, members, journal, back-fill, parity with its age, and what keeps it from the next phase; with STORE also its
    members and every gate.
    """
    with session.opened() as opened:
        stores = [opened.find(store)] if store else drive(read_stores(), opened.conn)
        limits, connections = Limits.from_env(os.environ), opened.settings.connections + session.SERVICE_CONNECTIONS
        steps = [
            read_figures(name.service, name.store, limits=limits, connections_per_member=connections) for name in stores
        ]
        found = [drive(step, opened.conn) for step in steps]
    if json:
        output.document({"stores": [_facts(figures) for figures in found]})
    elif not found:
        print("no store yet; start a service that declares one")
    else:
        output.table(COLUMNS, [_row(figures) for figures in found])
        _unscoped(found)
        if store:
            _details(found[0])


def next_gates(figures: Figures) -> list[Gate]:
    """The gates of the next move forward as they stand; none in the last phase."""
    wanted = next_phase(figures.phase)
    return gates_of(MOVES[figures.phase, wanted], figures) if wanted else []


def _facts(figures: Figures) -> dict[str, Any]:
    flags = flags_of(figures.phase)
    view = {"USE_DATABASE_STORAGE": flags.use_database_storage, "DUAL_WRITE_ENABLED": flags.dual_write_enabled}
    members = [
        asdict(member) | {"live": member.live, "silent": member.lapsed} for member in (*figures.live, *figures.lapsed)
    ]
    return figures.facts() | {
        "flags": view,
        "members": members,
        "journal_units": figures.journal_units,
        "pins": [{"member": member.id, "variable": member.pin} for member in figures.live if member.pin],
        "next": next_phase(figures.phase),
        "gates": [gate.facts() for gate in next_gates(figures)],
    }


def _row(figures: Figures) -> tuple[str, ...]:
    gates = {gate.name: gate for gate in gates_of(MOVES["dual_write", "dual_read"], figures)}
    silent = f" + {len(figures.lapsed)} silent" if figures.lapsed else ""
    return (
        f"{figures.service}/{figures.store}",
        figures.phase,
        flags_text(figures.phase),
        str(figures.epoch),
        f"{len(figures.live)}{silent}",
        str(figures.journal_units),
        "-" if figures.phase == "legacy" else gates["backfill"].figure,
        _parity(figures),
        str(figures.unlanded),
        ", ".join(sorted({member.pin for member in figures.live if member.pin})) or "-",
        _next(figures),
    )


def _parity(figures: Figures) -> str:
    newest = figures.parity
    if newest is None:
        return "never"
    stale = newest.age_s > figures.limits.parity_age_s or newest.started_at < figures.changed_at
    verdict = "equal" if newest.equal and newest.planted_found else "NOT EQUAL"
    return f"{verdict}, {output.age(newest.age_s)} ago" + (" (stale)" if stale else "")


def _next(figures: Figures) -> str:
    wanted = next_phase(figures.phase)
    if wanted is None:
        return "-"
    shut = closed(next_gates(figures))
    return f"{wanted}: " + (f"closed: {', '.join(gate.name for gate in shut)}" if shut else "gates open")


def _unscoped(found: list[Figures]) -> None:
    """Names the mappings of stores with a tenant: a dict shows whoever holds it the records of all."""
    names = [f"{each.service}/{each.store}" for each in found if any(member.unscoped for member in each.live)]
    if names:
        print(f"\nunscoped: the mapping of {', '.join(names)} shows every tenant's records; the repository does not")


def _details(figures: Figures) -> None:
    changed = figures.changed_at.strftime("%Y-%m-%d %H:%M:%SZ")
    by = f" by {figures.changed_by}" if figures.changed_by else ""
    why = f": {figures.reason}" if figures.reason else ""
    print(f"\nin {figures.phase} since {changed}{by}{why}")
    members = (*figures.live, *figures.lapsed)
    if members:
        print()
        output.table(MEMBER_COLUMNS, [_member(member) for member in members])
    for member in figures.live:
        if member.journal_dies:
            print(f"{member.name}: {member.journal_dies}; while PostgreSQL is away it would {member.when_away} writes")
    for member in members:
        for unit in member.open_units:
            print(f"member {member.id}: open for long: {unit}")
    wanted = next_phase(figures.phase)
    if wanted:
        print()
        output.gate_table(next_gates(figures), f"{figures.phase} -> {wanted}")


def _member(member: Member) -> tuple[str, ...]:
    return (
        str(member.id),
        f"{member.host}:{member.pid}",
        "live" if member.live else "silent",
        str(member.epoch),
        f"{output.age(member.seen_age_s)} ago",
        "-" if member.records is None else str(member.records),
        "-" if member.image_bytes is None else f"{member.image_bytes / 2**20:.1f} MiB",
        str(member.journal_units),
        str(len(member.open_units)),
        member.pin or "-",
    )
