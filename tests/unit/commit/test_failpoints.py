"""Fail points: silent until armed, exact about which hit acts, and complete in their list of names."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlive.commit import failpoints
from outlive.errors import BadSetting, FailPointHit

SRC = Path(__file__).resolve().parents[3] / "src"
NAME = "journal.before_sync"


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    failpoints.disarm()
    yield
    failpoints.disarm()


def names_in_source() -> set[str]:
    """The first argument of every hit(...) in the package."""
    found = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "hit":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: a fail point's name is a literal"
                found.add(node.args[0].value)
    return found


def test_every_hit_in_the_package_is_listed() -> None:
    """A name that code hits and NAMES lacks could never be armed, so its kill would never be tested."""
    assert names_in_source() <= failpoints.NAMES


def test_every_listed_name_is_hit_somewhere() -> None:
    """A name that nothing hits would make its fault test pass without a fault."""
    assert names_in_source() >= failpoints.NAMES


def test_hit_does_nothing_when_unarmed() -> None:
    """A hit without an armed point returns."""
    failpoints.hit(NAME)


def test_hit_of_another_name_does_nothing() -> None:
    """Arming one point leaves the others silent."""
    failpoints.arm(NAME, "raise")
    failpoints.hit("journal.after_sync")


def test_raise_without_a_number_raises_at_every_hit() -> None:
    """`raise` raises FailPointHit, which names the point, each time."""
    failpoints.arm(NAME, "raise")
    for _ in range(2):
        with pytest.raises(FailPointHit, match=NAME):
            failpoints.hit(NAME)


@pytest.mark.parametrize(("action", "times"), [("raise:3", None), ("raise", 3), ("raise:9", 3)])
def test_a_number_says_which_hit_acts(action: str, times: int | None) -> None:
    """Only the third of five hits raises, whether the number stands in the action or in `times`, which wins."""
    failpoints.arm(NAME, action, times)
    raised = []
    for _ in range(5):
        try:
            failpoints.hit(NAME)
        except FailPointHit:
            raised.append(True)
        else:
            raised.append(False)
    assert raised == [False, False, True, False, False]


def test_a_callable_is_called() -> None:
    """An armed callable runs at every hit, and at none once disarmed by name."""
    calls: list[int] = []
    failpoints.arm(NAME, lambda: calls.append(1))
    failpoints.hit(NAME)
    failpoints.hit(NAME)
    failpoints.disarm(NAME)
    failpoints.hit(NAME)
    assert calls == [1, 1]


def test_disarm_during_a_hit_is_safe() -> None:
    """A point that another thread disarmed after hit looked is not an error."""
    failpoints._fire(NAME)


def test_sleep_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sleep:S` sleeps S seconds at each hit."""
    slept: list[float] = []
    monkeypatch.setattr(failpoints.time, "sleep", slept.append)
    failpoints.arm(NAME, "sleep:0.2")
    failpoints.hit(NAME)
    failpoints.hit(NAME)
    assert slept == [0.2, 0.2]


def test_kill_kills_this_process_at_the_named_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """`kill:2` sends SIGKILL to this very process at the second hit."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(failpoints.os, "kill", lambda *what: killed.append(what))
    failpoints.arm(NAME, "kill:2")
    failpoints.hit(NAME)
    assert killed == []
    failpoints.hit(NAME)
    assert killed == [(os.getpid(), signal.SIGKILL)]


def test_the_environment_arms_a_process() -> None:
    """OUTLIVE_FAILPOINT arms several points, separated by semicolons; the kill is real."""
    code = f"from outlive.commit import failpoints as f\nfor n in range(9): print(n, flush=True); f.hit({NAME!r})"
    told = {failpoints.VARIABLE: f"journal.after_sync=raise; {NAME}=kill:3;"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | told | {"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split() == ["0", "1", "2"]


@pytest.mark.parametrize(
    "text", ["journal.before_lunch=kill", f"{NAME}=explode", f"{NAME}=kill:soon", f"{NAME}=sleep", NAME]
)
def test_a_typing_error_is_refused(text: str) -> None:
    """An unknown name or action raises BadSetting: a fault that never happens must not look like a passed test."""
    with pytest.raises(BadSetting):
        failpoints.arm_from(text)
    failpoints.hit(NAME)
