"""What is thought of a fact."""

from __future__ import annotations

from services.facts.correction import TYPE, claims_something, correction_in
from services.facts.records import Fact, ValidationResult, ValidationStatus
from services.facts.repetition import repetitions_in
from services.farm.common import clock

RULES = 4
ACCEPTED = 0.5
REJECTED = "Fact rejected due to low quality/coherence"


def judged(fact: Fact) -> ValidationResult:
    """The result for a fact, as of now. Nothing is stored."""
    rules = (
        (len(fact.statement) < 5, 0.4, "Statement too short (min 5 characters)"),
        (not fact.category.strip(), 0.3, "Category is missing or invalid"),
        (not fact.tags, 0.15, "No tags present - affects discoverability"),
        (len(repetitions_in(fact.statement)) >= 2, 0.4, "Repetitive token sequences suggest chaotic input"),
        (bool(fact.metadata.get("external_claim")), 0.1, "External claims require verifiable evidence"),
    )
    confidence, findings = 1.0, []
    for broken, penalty, finding in rules:
        if broken:
            confidence -= penalty
            findings.append(finding)
    correction = correction_in(fact.statement)
    if correction.probability:
        confidence *= 1.0 - correction.probability * 0.5
        findings.append(f"Deception detected: {TYPE}")
    if claims_something(fact.statement):
        findings.append("Unverified claims require external validation")
    confidence = max(0.0, min(1.0, confidence))
    return ValidationResult(
        fact.id, fact.id, status_of(confidence), confidence, findings,
        {"rules_checked": RULES, "deception_checked": True}, correction.phrases, correction.probability, clock.now(),
    )  # fmt: skip


def status_of(confidence: float) -> ValidationStatus:
    """What a confidence is called."""
    if confidence >= 0.7:
        return ValidationStatus.COHERENT
    return ValidationStatus.SUSPICIOUS if confidence >= 0.4 else ValidationStatus.NOISE
