"""The facts that a registry begins with."""

from __future__ import annotations

from services.facts.records import Fact

ROWS = (
    (
        "default_001", "architecture", "The monolith uses Singleton pattern for Facts Registry",
        ("architecture", "pattern", "singleton"),
    ),
    (
        "default_002", "architecture", "The orchestrator implements Facade pattern for simplified access",
        ("architecture", "pattern", "facade"),
    ),
    (
        "default_003", "testing", "TAAS provides comprehensive testing capabilities",
        ("testing", "TAAS", "quality"),
    ),
    (
        "default_004", "validation", "Third-party validation ensures fact quality and coherence",
        ("validation", "quality", "coherence"),
    ),
)  # fmt: skip


def facts() -> list[Fact]:
    """The four default facts, verified, as of now."""
    return [Fact(key, category, statement, True, tags=list(tags)) for key, category, statement, tags in ROWS]
