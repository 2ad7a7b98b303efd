"""Which letters have cases."""

from __future__ import annotations

import sys

from outlive.query.casing import LAST_CASED, caseless_parts, is_caseless


def test_no_letter_beyond_the_last_one_has_a_case() -> None:
    """This Python's Unicode has no cased letter that the tables leave out."""
    assert all(chr(code).casefold() == chr(code) for code in range(LAST_CASED + 1, sys.maxunicode + 1))


def test_hebrew_arabic_and_digits_are_caseless() -> None:
    """A stretch without case stands in a text of any case as it is; what folding makes counts as cased."""
    assert is_caseless("שלום ١٢ مرحبا 12")
    assert caseless_parts("aשלום-Bمر") == ["שלום-", "مر"]
    assert not is_caseless("ſ")
    assert caseless_parts("") == []
