"""Gate: everything that images and files held when dual write began is in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def backfill(figures: Figures) -> Gate:
    """Open when the row says done and no live member says that its own copy is unfinished."""
    stuck = [f"{member.name}: {member.trouble}" for member in figures.live if member.trouble]
    behind = [member for member in figures.live if member.backfill and not member.backfill.get("done")]
    row = figures.backfill or {}
    done = bool(row.get("done")) and not behind
    progress = behind[0].backfill if behind and row.get("done") else row
    if done:
        return Gate("backfill", True, _figure(progress, done), "done")
    why = "; ".join(stuck) or _why(figures, bool(behind or row))
    return Gate("backfill", False, _figure(progress, done), "done", why, None if stuck or not figures.live else "wait")


def _figure(progress: Mapping[str, Any], done: bool) -> str:
    copied, total = progress.get("copied"), progress.get("total")
    if copied is None:
        return "done" if done else "not begun"
    return f"{copied} of {total if total is not None else '?'} records" + (", done" if done else "")


def _why(figures: Figures, begun: bool) -> str:
    if not figures.live:
        return "no running member can copy; start the service"
    return "the copy of what memory and file hold is still running" if begun else "no member has begun to copy yet"
