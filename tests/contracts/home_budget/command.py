"""The service's commands, as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.contracts.home_budget.process import REPOSITORY, environment

ALEMBIC_INI = REPOSITORY / "services" / "home_budget" / "alembic.ini"


def run(folder: Path, *words: str, **own: str) -> subprocess.CompletedProcess[str]:
    """`python -m WORDS` in `folder`, with its output; a status other than 0 is the caller's to judge."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**environment(), **own},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def alembic(folder: Path, database_url: str, *words: str) -> str:
    """The output of an Alembic command on the service's tables. Raises AssertionError when it fails."""
    done = run(folder, "alembic", "-c", os.fspath(ALEMBIC_INI), *words, DATABASE_URL=database_url)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
