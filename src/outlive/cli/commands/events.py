"""`outlive events`: who changed what, when and why."""

from __future__ import annotations

import json as codec
from dataclasses import asdict
from typing import Annotated, Any

import typer

from outlive.cli import output, session
from outlive.cli.options import AnyStore, AsJson
from outlive.phases.control import read_events
from outlive.phases.ledger import Event
from outlive.postgres.drive import drive

NAME = "events"


def command(
    store: AnyStore = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    json: AsJson = False,
) -> None:
    """Show the event log, newest first."""
    with session.opened() as opened:
        found = opened.find(store) if store else None
        step = read_events(found.service if found else None, found.store if found else None, limit)
        events = drive(step, opened.conn)
    if json:
        output.document({"events": [asdict(event) for event in events]})
    elif not events:
        print("no events")
    else:
        rows = [(_time(event), _where(event), event.kind, event.actor, _summary(event.detail)) for event in events]
        output.table(("at", "store", "event", "actor", "detail"), rows)


def _time(event: Event) -> str:
    return event.at.strftime("%Y-%m-%d %H:%M:%SZ")


def _where(event: Event) -> str:
    return "/".join(part for part in (event.service, event.store) if part)


def _summary(detail: Any) -> str:
    """A phase change in words, anything else as short JSON."""
    if not isinstance(detail, dict):
        return "" if detail is None else str(detail)
    if "from" in detail and "to" in detail:
        words = [f"{detail['from']} -> {detail['to']} (epoch {detail.get('epoch')})"]
        words += ["forced"] if detail.get("forced") else []
        words += [str(detail["reason"])] if detail.get("reason") else []
        return ", ".join(words)
    text = codec.dumps(detail, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else text[:99] + "…"
