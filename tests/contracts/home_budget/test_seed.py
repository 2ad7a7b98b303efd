"""The seeding command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.contracts.home_budget.command import run
from tests.contracts.home_budget.conftest import Form, in_every_phase
from tests.contracts.home_budget.process import Service

SEED = "services.home_budget.seed"


@pytest.mark.parametrize("word", ["production", "Production"])
def test_refused_in_production(tmp_path: Path, word: str) -> None:
    """Under ENV=production nothing is written."""
    done = run(tmp_path, SEED, "--count", "3", ENV=word)
    assert done.returncode == 1
    assert "production" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    """Files seeded with one number are equal, byte for byte; another number gives others."""
    files = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        folder = tmp_path / name
        folder.mkdir()
        done = run(folder, SEED, "--count", "40", "--seed", seed, HOME_BUDGET_DATA=str(folder))
        assert done.returncode == 0, done.stderr
        files.append(((folder / "expenses.json").read_bytes(), (folder / "incomes.json").read_bytes()))
    assert files[0] == files[1]
    assert files[0] != files[2]
    assert (len(json.loads(files[0][0])), len(json.loads(files[0][1]))) == (40, 4)


@in_every_phase
def test_seeded_rows_are_served(form: Form, tmp_path: Path, new_database: Callable[[], str]) -> None:
    """Seeded twice, the service lists all rows in order with rising ids, wherever its phase keeps them."""
    environment = form.environment(new_database() if form.has_database else None)
    for count in ("30", "12"):
        done = run(
            tmp_path, SEED, "--count", count, "--incomes", "5", HOME_BUDGET_DATA=str(tmp_path / "data"), **environment
        )
        assert done.returncode == 0, done.stderr
    service = Service(form.module, tmp_path, environment).start()
    try:
        listed = httpx.get(f"{service.url}/api/v1/expense").json()
        assert [row["id"] for row in listed] == list(range(1, 43))
        assert len(httpx.get(f"{service.url}/api/v1/income").json()) == 10
    finally:
        service.stop()
