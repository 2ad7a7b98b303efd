"""Differences between memory and PostgreSQL, grouped, with examples side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from outlive.cli import output

COLUMNS = ("difference", "field", "records", "key", "memory", "PostgreSQL")
LONGEST = 40


def print_groups(result: Mapping[str, Any]) -> None:
    """Prints each group of differences with its first examples; nothing where there are none."""
    rows = []
    for group in result.get("groups") or _grouped(result.get("examples") or []):
        for at, example in enumerate(group["examples"]):
            lead = (group["kind"], group["field"] or "-", str(group["count"])) if at == 0 else ("", "", "")
            rows.append((*lead, _cut(str(example.get("key"))), *_values(group, example)))
    if rows:
        output.table(COLUMNS, rows)


def _grouped(examples: list[Any]) -> list[dict[str, Any]]:
    """Groups of a result that has examples alone."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for example in examples:
        if isinstance(example, Mapping):
            groups.setdefault((str(example.get("kind")), str(example.get("field") or "")), []).append(example)
    return [
        {"kind": kind, "field": name, "count": len(held), "examples": held} for (kind, name), held in groups.items()
    ]


def _values(group: Mapping[str, Any], example: Mapping[str, Any]) -> tuple[str, str]:
    if group["kind"] == "missing":
        return "there", "-"
    if group["kind"] == "extra":
        return "-", "there"
    return _short(example.get("image")), _short(example.get("table"))


def _short(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
