"""Journal folders that change while somebody looks at them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outlive.commit import folder


def test_a_lock_whose_file_was_replaced_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever locked a file that has another one in its place by then holds nothing, and keeps no handle open."""
    path, held = folder.take(tmp_path, "stage", "1-a")
    os.close(held)
    before = set(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    assert folder.claim(tmp_path, "stage") == []
    assert set(Path("/proc/self/fd").iterdir()) == before
    monkeypatch.undo()
    ((found, lock),) = folder.claim(tmp_path, "stage")
    assert found == path
    os.close(lock)


def test_a_journal_that_went_meanwhile_is_the_oldest(tmp_path: Path) -> None:
    """A folder without description and lock has no age, and says its owner by its own name."""
    gone = tmp_path / "stage" / "1-a"
    assert folder._started_ns(gone) == 0
    assert folder.owner(gone) == ("stage", "1-a")
