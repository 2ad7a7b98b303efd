"""What every gate answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Remedy = Literal["wait", "verify", "rehearse"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: whether it holds, the figure that was measured, the limit, and the reason in a sentence.

    `remedy` says what opens a closed gate without an operator: waiting, or asking a member to verify or rehearse.
    """

    name: str
    open: bool
    figure: str
    limit: str
    why: str = ""
    remedy: Remedy | None = None

    def facts(self) -> dict[str, Any]:
        """The gate as plain values for `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name} ({self.figure}; limit {self.limit})"
