"""`outlive verify`: parity, record by record."""

from __future__ import annotations

import json as codec
from collections.abc import Mapping
from typing import Any

import typer

from outlive.cli import output, session
from outlive.cli.options import AsJson, Store, Wait
from outlive.errors import PhaseRefused
from outlive.phases import control
from outlive.phases.requests import Verification

NAME = "verify"
KINDS = {
    "different": "differ between memory and PostgreSQL",
    "missing": "are in memory but not in PostgreSQL",
    "extra": "are in PostgreSQL but not in memory",
}


def command(store: Store, wait: Wait = 120.0, json: AsJson = False) -> None:
    """Compare memory with table, record by record.

    Ends with status 3 when they differ. A running member does it, on one snapshot, and has to find a difference
    that it plants in a scratch copy.
    """
    with session.opened() as opened:
        progress = output.Progress(json)
        try:
            order = opened.order(opened.find(store), wait_s=wait)
            found = control.run(control.verify(order), opened.conn, progress)
        finally:
            progress.clear()
    output.document(found.facts()) if json else _print(found)
    if not found.equal:
        raise typer.Exit(PhaseRefused.exit_code)


def _print(found: Verification) -> None:
    name = f"{found.service}/{found.store}"
    verdict = "equal" if found.equal else "NOT EQUAL" if found.planted_found else "NOT VERIFIED"
    print(f"{name}: {verdict}; {found.compared} records compared ({found.mode}, by member {found.member})")
    if not found.planted_found:
        print("the planted difference was not found: this result counts for nothing")
    examples = _examples(found.result)
    for kind, words in KINDS.items():
        count = getattr(found, kind)
        if count:
            print(f"{count} {words}")
            _print_examples([example for example in examples if example.get("kind") == kind], count)


def _print_examples(examples: list[Mapping[str, Any]], count: int) -> None:
    for example in examples:
        print(f"  {example.get('key')}{_detail(example)}")
    if len(examples) < count:
        print(f"  … and {count - len(examples)} more")


def _detail(example: Mapping[str, Any]) -> str:
    if not example.get("field"):
        return ""
    return f".{example['field']}: memory {_short(example.get('image'))}, PostgreSQL {_short(example.get('table'))}"


def _short(value: Any) -> str:
    text = codec.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _examples(result: Any) -> list[Mapping[str, Any]]:
    listed = result.get("examples") if isinstance(result, Mapping) else None
    return [example for example in listed or [] if isinstance(example, Mapping)]
