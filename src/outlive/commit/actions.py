"""What the committer asks of its driver. Each action is performed by itself; its result or error goes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from outlive.postgres.drive import Step


@dataclass(slots=True)
class Transact:
    """Run a step as one transaction on the committer's connection; result: what the step returns."""

    step: Step[Any]


@dataclass(slots=True)
class Connect:
    """Open the committer's connection anew. Raises psycopg.Error or Unreachable."""


@dataclass(slots=True)
class Append:
    """Append frames to the journal and fsync. Raises JournalFull; then nothing of them is kept."""

    payloads: list[bytes]


@dataclass(slots=True)
class ReadFrames:
    """Up to `limit` frames that have not drained: list of (sequence, payload)."""

    limit: int


@dataclass(slots=True)
class MarkDrained:
    """Everything up to this frame is in PostgreSQL."""

    upto: int


@dataclass(slots=True)
class WriteFiles:
    """Write the JSON files of these stores."""

    stores: list[Any]


@dataclass(slots=True)
class Turn:
    """Let those run who were told something just now."""


@dataclass(slots=True)
class Idle:
    """Wait for work, at most this long."""

    seconds: float


Action = Transact | Connect | Append | ReadFrames | MarkDrained | WriteFiles | Turn | Idle
