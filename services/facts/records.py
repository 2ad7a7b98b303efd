"""What is stored: facts, what was found about them, and who asked for what."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.farm.common import clock

NO_ID = "Fact ID cannot be empty"


class ValidationStatus(StrEnum):
    COHERENT = "coherent"
    SUSPICIOUS = "suspicious"
    NOISE = "noise"
    UNVALIDATED = "unvalidated"


@dataclass(eq=False)
class Fact:
    """A statement that somebody has determined. Facts with one id are equal.

    Raises ValueError for an id that is blank or no text. The last three fields are the registry's own, in no answer.
    """

    id: str
    category: str
    statement: str
    verified: bool = False
    timestamp: dt.datetime = field(default_factory=clock.now)
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    updated_at: dt.datetime | None = field(default=None, kw_only=True)
    validation_status: ValidationStatus | None = field(default=None, kw_only=True)
    validation_score: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id.strip():
            raise ValueError(NO_ID)
        self.tags = self.tags or []
        self.metadata = {} if self.metadata is None else self.metadata

    def to_dict(self) -> dict[str, Any]:
        """The fact as JSON has it."""
        return {
            "id": self.id,
            "category": self.category,
            "statement": self.statement,
            "verified": self.verified,
            "timestamp": self.timestamp.isoformat(),
            "tags": self.tags,
            "metadata": self.metadata,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fact) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass
class ValidationResult:
    """What was found about a fact last, registered or not. `id` is the fact's; `confidence` goes from 0 to 1.

    `deception_patterns` are the words that sounded like a user's correction, `probability` how sure that is.
    """

    id: str
    fact_id: str
    status: ValidationStatus
    confidence: float
    findings: list[str]
    metadata: dict[str, Any]
    deception_patterns: list[str]
    probability: float
    detected_at: dt.datetime

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {
            "fact_id": self.fact_id,
            "status": str(self.status),
            "confidence": self.confidence,
            "findings": self.findings,
            "metadata": self.metadata,
            "timestamp": self.detected_at.isoformat(),
        }


@dataclass
class ApiRequest:
    """A request that was answered. `duration_ms` is in whole milliseconds."""

    id: str
    endpoint: str
    method: str
    response_code: int
    duration_ms: int
    created_at: dt.datetime
    user_agent: str | None = None
    ip_address: str | None = None
