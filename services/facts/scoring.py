"""How much sense a text makes: the score of `/validate`."""

from __future__ import annotations

from typing import Any

from services.facts import repetition
from services.facts.correction import TYPE, correction_in

PASSED = 0.5
LENGTHS = ((1, 0.0), (5, 0.2), (20, 0.5), (40, 0.7))


def validate_input(text: str, context: Any = None) -> dict[str, Any]:
    """The judgement of a text: scores from 0 to 1, three digits. `context` is given back; any but an empty one helps.

    Raises ValueError for what is no text.
    """
    if not isinstance(text, str):
        raise ValueError("Input text must be a string")  # noqa: TRY004  the contract's
    length, words = len(text.strip()), len(text.split())
    repeated, correction = repetition.repetitions_in(text), correction_in(text)
    score = _score(length, words, context, len(repeated), correction.probability)
    passed, corrected = score >= PASSED, correction.probability > 0
    findings = {
        "Text is too short": length < 5,
        "Input detected as noise": not passed,
        "Repetitive token sequences detected": bool(repeated),
        f"Deception pattern detected: {TYPE}": corrected,
    }
    return {
        "coherence_score": round(score, 3),
        "noise_detected": not passed,
        "validation_passed": passed,
        "deception_detected": corrected,
        "deception_type": TYPE if corrected else None,
        "deception_probability": round(correction.probability, 3),
        "details": {
            "status": "coherent" if passed else "noise",
            "findings": [finding for finding, holds in findings.items() if holds],
            "matched_correction_phrases": correction.phrases,
            "repetition": repetition.shown(repeated),
            "metadata": {"text_length": length, "word_count": words, "context": context},
        },
    }


def _score(length: int, words: int, context: Any, repetitions: int, probability: float) -> float:
    score = next((value for limit, value in LENGTHS if length < limit), 0.9)
    if words >= 5:
        score = min(1.0, score + 0.1)
    if context:
        score = min(1.0, score + 0.05)
    if repetitions:
        score *= 1.0 - min(0.7, 0.25 * repetitions)
    return score * (1.0 - 0.3 * probability)
