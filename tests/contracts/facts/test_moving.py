"""Facts and results go to a file and come back from it as they were."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from outlive.postgres.address import Address
from tests.contracts.facts import facts
from tests.contracts.facts.facts import ask, create
from tests.contracts.farm.conftest import PHASES, open_service
from tests.contracts.farm.running import load

PACKAGE = "services.facts"
ROOT = Path(__file__).resolve().parents[3]


def moved(address: Address, folder: Path, *words: str) -> tuple[int, str, str]:
    """A command of the service in this process: its exit status, and what it printed where."""
    out, told = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(told):
        patch.setenv("DATABASE_URL", address.libpq_url())
        patch.setenv("OUTLIVE_HOME", str(folder / "home"))
        patch.chdir(folder)
        status: int = load(PACKAGE, "moving").main(list(words))
    return status, out.getvalue(), told.getvalue()


@pytest.mark.parametrize("phase", ["dual_write", "database"])
def test_there_and_back(
    phase: str, new_database: Callable[..., Address], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that is imported into another database is exported as the same bytes; again, it changes nothing."""
    first, second = new_database(), new_database()
    with open_service(PACKAGE, PHASES[1], first, tmp_path / "service", facts.ENVIRONMENT) as service:
        for number in range(3):
            made = create(service.http, statement=f"الماء {number} is wrong", metadata={"n": [number, 0.1, None]})
            ask(service.http, "POST", f"/facts/{made['id']}/validate")
        ask(service.http, "PUT", f"/facts/{made['id']}", json={"timestamp": "2026-01-02T03:04:05.678+02:00"})
    monkeypatch.setenv("OUTLIVE_PHASE", phase)
    assert moved(first, tmp_path, "export", "one.jsonl") == (0, "", "7 facts and 3 results written\n")
    for told in ("10 added, 0 replaced, 0 kept\n", "0 added, 0 replaced, 10 kept\n"):
        assert moved(second, tmp_path, "import", "one.jsonl") == (0, "", told)
    exported = moved(second, tmp_path, "export")[1]
    assert exported.encode() == (tmp_path / "one.jsonl").read_bytes()
    changed = {**json.loads(exported.splitlines()[4])["fact"], "statement": "changed"}
    (tmp_path / "two.jsonl").write_text(json.dumps({"fact": changed}), encoding="utf-8")
    told = moved(second, tmp_path, "import", "two.jsonl", "--replace")
    assert told == (0, "", "0 added, 1 replaced, 0 kept\n")
    exported = moved(second, tmp_path, "export")[1]
    assert json.loads(exported.splitlines()[4]) == {"fact": changed}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[]", "is no fact and no result"),
        ("{", "is no fact and no result"),
        ('{"other": {}}', "'other'"),
        ('{"fact": {"id": " ", "category": "c", "statement": "s"}}', "Fact ID cannot be empty"),
        ('{"fact": {"id": "a", "category": "c", "statement": "s", "colour": 1}}', "colour: no such field"),
        ('{"fact": {"id": "a"}}', "missing"),
    ],
)
def test_a_bad_line_stops_all(line: str, reason: str) -> None:
    """The line is named, and nothing of the file is stored."""
    from services.facts.moving import Malformed, load

    good = '{"fact": {"id": "g", "category": "c", "statement": "s"}}'
    with pytest.raises(Malformed, match=reason) as refused:
        load([good, "", line])
    assert str(refused.value).startswith("line 3 ")


def test_memory_alone_is_not_exported(tmp_path: Path) -> None:
    """In `legacy` the command says where the facts are and what comes next, and leaves nothing behind."""
    kept = {name: text for name, text in os.environ.items() if name not in ("DATABASE_URL", "OUTLIVE_PHASE")}
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "services.facts", "export"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**kept, "PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert "outlive advance facts/facts" in done.stderr
    assert list(tmp_path.iterdir()) == []
