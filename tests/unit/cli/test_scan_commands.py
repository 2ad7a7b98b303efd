"""`outlive scan` and `outlive check` on small trees, through the command line's own entry."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from outlive.cli import scanning
from outlive.cli.app import run
from tests.unit.scan.test_guard import commit, git

SERVICE = """
from decimal import Decimal

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Invoice(BaseModel):
    id: str
    amount: Decimal
    status: str = "open"


INVOICES: dict[str, Invoice] = {}
LIMITS = {"a": 1}


@app.post("/invoices")
def create(invoice: Invoice) -> Invoice:
    INVOICES[invoice.id] = invoice
    return invoice


@app.get("/invoices")
def listed(status: str) -> list[Invoice]:
    return [each for each in INVOICES.values() if each.status == status]
"""
SECOND = """
from flask import Flask, request

app = Flask(__name__)
notes = []


@app.post("/notes")
def add():
    notes.append(request.json)
    return {"count": len(notes)}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with one service, one store in it."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "main.py").write_text(SERVICE, encoding="utf-8")
    return tmp_path


def outlive(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """(status, standard output, standard error) of a command."""
    status = run([str(each) for each in arguments])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def scanned(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The document that `scan --json` prints."""
    status, shown, errors = outlive(capsys, "scan", *arguments, "--json")
    assert (status, errors) == (0, "")
    found = json.loads(shown)
    assert isinstance(found, dict)
    return found


def test_json_of_a_real_tree(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The store comes out with place, record, priority, proposal; other classes stand beside it; the status is 0."""
    found = scanned(capsys, tree)
    stores = [each for each in found["findings"] if each["class"] == "store"]
    assert [each["symbol"] for each in stores] == ["INVOICES"]
    assert (stores[0]["path"], stores[0]["record"], stores[0]["priority"]) == ("shop/main.py", "Invoice", "critical")
    assert stores[0]["line"] == SERVICE.split("\n").index("INVOICES: dict[str, Invoice] = {}") + 1
    assert "    amount numeric NOT NULL," in stores[0]["proposal"]["create"][0]
    assert any("POST /invoices" in reason for reason in stores[0]["reasons"])
    assert found["files"] == 1


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        ([], "critical"),
        (["--markdown"], "# In-memory stores of "),
        (["--html"], "<!doctype html>"),
        (["--sarif"], '"version": "2.1.0"'),
        (["--github"], "::error file=shop/main.py,"),
    ],
)
def test_every_report_names_the_store(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], holds: str
) -> None:
    """Each report prints its own form with the store in it, and ends with status 0."""
    monkeypatch.chdir(tree)
    status, shown, _ = outlive(capsys, "scan", *arguments)
    assert status == 0
    assert holds in shown
    assert "INVOICES" in shown


@pytest.mark.parametrize(
    ("name", "head"), [("a.md", "# In"), ("a.html", "<!d"), ("a.json", "{"), ("a.sarif", "{"), ("a.txt", "PRI")]
)
def test_the_file_s_name_chooses_the_report(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str, head: str
) -> None:
    """With --output the report goes to the file, in the form of its suffix, and nothing is printed."""
    assert outlive(capsys, "scan", tree, "-o", tree / name) == (0, "", "")
    assert (tree / name).read_text("utf-8").startswith(head)


def test_mistakes_are_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is not there, two reports, a priority that is none, a file that cannot be written: status 2."""
    for arguments, told in (
        (["scan", tree / "nowhere"], "nowhere does not exist"),
        (["scan", tree, "--json", "--html"], "one report at a time"),
        (["scan", tree, "--min-priority", "urgent"], "critical, high, medium, low"),
        (["scan", tree, "-o", tree / "no" / "a.md"], "cannot be written"),
        (["scan", tree, "--since", "HEAD"], "not a git repository"),
        (["check", tree / "nowhere"], "nowhere does not exist"),
        (["check", tree, "--update", "--since", "HEAD"], "--update writes the whole baseline"),
        (["check", tree, "--sarif", "--json"], "one report at a time"),
    ):
        status, shown, errors = outlive(capsys, *arguments)
        assert (status, told in shown + errors) == (2, True), (arguments, shown, errors)


def test_min_priority_and_all(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--min-priority leaves lesser stores out, --all brings other classes in."""
    (tree / "shop" / "notes.py").write_text(SECOND)
    both = outlive(capsys, "scan", tree)[1]
    assert ("notes" in both, "LIMITS" in both) == (True, False)
    assert "notes.py" not in outlive(capsys, "scan", tree, "--min-priority", "critical")[1]
    assert "LIMITS" in outlive(capsys, "scan", tree, "--all")[1]


def test_a_terminal_gets_the_drawn_table(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the table is drawn, with the next command below it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, shown, _ = outlive(capsys, "scan", tree)
    assert status == 0
    assert "next: outlive scan -o stores.html" in shown
    assert "INVOICES" in shown


def test_settings_of_the_tree_are_obeyed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """outlive.toml excludes files and overrides classes; a mistake in it stops the scan."""
    file = tree / "outlive.toml"
    file.write_text('[[scan.override]]\nsymbol = "INVOICES"\nclass = "cache"\nreason = "a copy"\n')
    (found,) = [each for each in scanned(capsys, tree)["findings"] if each["symbol"] == "INVOICES"]
    assert (found["class"], found["reasons"][0]) == ("cache", "outlive.toml says cache: a copy")
    file.write_text('[scan]\nexclude = ["shop/*"]\n')
    assert scanned(capsys, tree)["findings"] == []
    file.write_text("[scan]\nexlude = []\n")
    assert outlive(capsys, "scan", tree)[0] == 2


def test_check_fails_on_a_new_store(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3 until the store is known, 0 after --update, 3 again for the next one, which alone is shown."""
    status, shown, _ = outlive(capsys, "check", tree)
    assert (status, "1 new, 0 known, 0 gone" in shown) == (3, True)
    assert outlive(capsys, "check", tree, "--update")[0] == 0
    assert outlive(capsys, "check", tree)[0] == 0
    (tree / "shop" / "main.py").write_text("# moved\n\n" + SERVICE)
    assert outlive(capsys, "check", tree)[0] == 0
    (tree / "shop" / "notes.py").write_text(SECOND)
    status, shown, _ = outlive(capsys, "check", tree)
    assert (status, "notes.py:5" in shown, "INVOICES" in shown) == (3, True, False)
    for form, told in (("--json", '"new"'), ("--sarif", '"results"'), ("--github", "::")):
        status, shown, _ = outlive(capsys, "check", tree, form)
        assert (status, told in shown, "notes" in shown) == (3, True, True)


def test_check_names_what_is_gone(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that went away does not fail the check, and is named until the baseline is written anew."""
    assert json.loads(outlive(capsys, "check", tree, "--update", "--json")[1])["written"] == 1
    (tree / "shop" / "main.py").write_text("x = 1\n")
    status, shown, _ = outlive(capsys, "check", tree)
    assert (status, "0 new, 0 known, 1 gone" in shown) == (0, True)
    assert json.loads(outlive(capsys, "check", tree, "--json")[1])["gone"][0]["symbol"] == "INVOICES"


def test_since_a_revision(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only stores on changed lines are scanned or checked; without a change there is none."""
    git(tree, "init", "-q")
    commit(tree)
    assert scanned(capsys, tree, "--since", "HEAD")["findings"] == []
    (tree / "shop" / "notes.py").write_text(SECOND)
    stores = [each for each in scanned(capsys, tree, "--since", "HEAD")["findings"] if each["class"] == "store"]
    assert [each["symbol"] for each in stores] == ["notes"]
    status, shown, _ = outlive(capsys, "check", tree, "--since", "HEAD")
    assert (status, "1 new, 0 known, 0 gone" in shown) == (3, True)


def test_no_database_is_loaded(tree: Path) -> None:
    """Scanning and checking import neither a driver nor SQLAlchemy nor the runtime."""
    code = (
        "import sys; from outlive.cli.app import run; run(['scan', sys.argv[1]]); run(['check', sys.argv[1]]);"
        "print(sorted(each for each in sys.modules if each.partition('.')[0] in {'psycopg', 'sqlalchemy', 'alembic'}"
        " or each.startswith(('outlive.runtime', 'outlive.stores', 'outlive.postgres', 'outlive.phases'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tree)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_names_that_no_encoding_holds(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file name that is no UTF-8 ends no report with a traceback, on a stream that is no UTF-8 either."""
    try:
        (Path(tree) / "shop" / "b\udcff.py").write_text(SECOND)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for report in ("--json", "--markdown", "--html", "--sarif", "--github", "--all"):
        assert outlive(capsys, "scan", tree, report)[0] == 0
    command = [sys.executable, "-X", "utf8=0", "-m", "outlive", "scan", str(tree)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=os.environ | {"LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"notes" in done.stdout


def test_the_bar_shows_long_scans_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar appears once a scan takes long, and is taken away at its end; elsewhere never."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(scanning, "BAR_AFTER_S", 0.0)
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        with scanning.Bar(stream) as bar:
            bar(5, 10)
        assert ("5 of 10 files" in stream.getvalue()) is shown
    monkeypatch.setattr(scanning, "BAR_AFTER_S", 60.0)
    quick = Terminal()
    with scanning.Bar(quick) as bar:
        bar(5, 10)
    assert quick.getvalue() == ""


def test_a_comment_beside_a_container_decides(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`# outlive: cache` beside a declaration takes the store out of the check."""
    text = SERVICE.replace("= {}\nLIMITS", "= {}  # outlive: cache\nLIMITS")
    (tree / "shop" / "main.py").write_text(text, encoding="utf-8")
    (found,) = [each for each in scanned(capsys, tree)["findings"] if each["symbol"] == "INVOICES"]
    assert (found["class"], found["priority"]) == ("cache", "low")
    assert outlive(capsys, "check", tree)[0] == 0


def test_the_hook_runs_the_check() -> None:
    """The pre-commit hook runs a command that exists, over the whole tree."""
    text = (Path(__file__).resolve().parents[3] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert "entry: outlive check\n" in text
    assert "pass_filenames: false\n" in text
