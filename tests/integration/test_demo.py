"""The demo: its ledger checker finds what is lost, and a quick run of the whole show proves that nothing is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.home_budget.demo.checker import Expected, Fault, compare, expected, happened
from services.home_budget.demo.client import Client
from services.home_budget.demo.data import NOUNS, generate
from services.home_budget.demo.entries import Entry, LedgerFile, Row, Tail, acknowledged
from services.home_budget.demo.figures import measure, p95
from services.home_budget.demo.plain_version import whole_records
from services.home_budget.demo.proof import finds_planted_loss, prove

ROOT = Path(__file__).resolve().parents[2]
START: dict[str, list[Row]] = {"expense": [{"id": 1, "amount": 1.0}, {"id": 2, "amount": 2.0}], "income": []}


def entry(op: str, outcome: Any = "acked", **more: Any) -> Entry:
    """A request on expenses that began at second 1 and took 10 ms."""
    return Entry(
        **{"at": 1.0, "ms": 10.0, "noun": "expense", "status": 200 if outcome == "acked" else 0, **more},
        op=op,
        outcome=outcome,
    )


def created(key: int, token: str, outcome: Any = "acked") -> Entry:
    """A create; its record has id, amount and token."""
    fields = {"amount": 5.0, "notes": token}
    seen = {**fields, "id": key} if outcome == "acked" else None
    return entry("create", outcome, key=key if outcome == "acked" else None, fields=fields, seen=seen)


def patched(key: int, amount: float, outcome: Any = "acked", seen: float | None = None) -> Entry:
    """A change of the amount, whose answer showed `seen` (default: the same amount)."""
    shown = {"id": key, "amount": amount if seen is None else seen}
    return entry("patch", outcome, key=key, fields={"amount": amount}, seen=shown if outcome == "acked" else None)


def kinds(faults: list[Fault]) -> list[tuple[str, Any]]:
    """Kind and key of each fault."""
    return [(fault.kind, fault.key) for fault in faults]


def final(*rows: Row) -> dict[str, list[Row]]:
    """The final records of one source, incomes empty."""
    return {"expense": list(rows), "income": []}


ONE, TWO, NEW = {"id": 1, "amount": 1.0}, {"id": 2, "amount": 2.0}, {"id": 3, "amount": 5.0, "notes": "demo 0-1"}
LEDGER = [created(3, "demo 0-1"), patched(2, 7.5), entry("delete", key=1)]
AFTER = [{"id": 2, "amount": 7.5}, NEW]


def test_a_ledger_that_was_kept_has_no_fault() -> None:
    """Records that are exactly as acknowledged contradict nothing."""
    wanted = expected(START, LEDGER)
    assert wanted.faults == []
    assert compare(wanted, final(*AFTER)) == []
    assert wanted.count("expense") == 2


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        pytest.param([AFTER[0]], [("lost", 3)], id="a-create-lost"),
        pytest.param([TWO, NEW], [("wrong value", 2)], id="a-change-lost"),
        pytest.param([ONE, *AFTER], [("resurrected", 1)], id="a-delete-lost"),
        pytest.param([*AFTER, NEW], [("duplicate", 3), ("duplicate", "demo 0-1")], id="a-record-twice"),
        pytest.param([*AFTER, {**NEW, "id": 9}], [("duplicate", "demo 0-1"), ("unexplained", 9)], id="a-create-twice"),
        pytest.param([*AFTER, {"id": 9, "notes": None}], [("unexplained", 9)], id="a-record-of-nobody"),
    ],
)
def test_a_planted_loss_is_found(rows: list[Row], faults: list[tuple[str, Any]]) -> None:
    """Each way in which final records can break a promise is a fault of its kind, and only that."""
    assert kinds(compare(expected(START, LEDGER), final(*rows))) == faults


@pytest.mark.parametrize("amount", [1.0, 6.0])
def test_an_unknown_change_may_have_happened_or_not(amount: float) -> None:
    """After a change whose answer never came, both values are right, and no third one."""
    wanted = expected(START, [patched(1, 6.0, "unknown")])
    assert compare(wanted, final({"id": 1, "amount": amount}, TWO)) == []
    assert kinds(compare(wanted, final({"id": 1, "amount": 4.0}, TWO))) == [("wrong value", 1)]


def test_an_unknown_delete_may_have_happened_or_not() -> None:
    """After a delete whose answer never came, the record may be there, as it was, or be gone."""
    wanted = expected(START, [entry("delete", "unknown", key=1)])
    assert compare(wanted, final(TWO)) == []
    assert compare(wanted, final(ONE, TWO)) == []
    assert kinds(compare(wanted, final({"id": 1, "amount": 9.0}, TWO))) == [("wrong value", 1)]


def test_an_unknown_create_may_have_happened_once() -> None:
    """A create whose answer never came may be there once, with its own values, and is counted then."""
    wanted = expected(START, [created(0, "demo 0-1", "unknown")])
    assert compare(wanted, final(ONE, TWO)) == []
    assert compare(wanted, final(ONE, TWO, NEW)) == []
    assert happened(wanted, final(ONE, TWO, NEW)) == 1
    assert kinds(compare(wanted, final(ONE, TWO, {**NEW, "amount": 0.0}))) == [("wrong value", 3)]
    assert kinds(compare(wanted, final(ONE, TWO, NEW, {**NEW, "id": 4}))) == [("duplicate", "demo 0-1")]


def test_a_refused_write_must_not_have_happened() -> None:
    """What was answered with 4xx is not there; what was never sent is nobody's matter."""
    refused = expected(START, [created(0, "demo 0-1", "refused"), patched(1, 6.0, "refused")])
    assert kinds(compare(refused, final({"id": 1, "amount": 6.0}, TWO, NEW))) == [
        ("wrong value", 1),
        ("refused, yet there", 3),
    ]
    assert compare(expected(START, [patched(1, 6.0, "unsent")]), final(ONE, TWO)) == []


@pytest.mark.parametrize(
    ("entries", "faults"),
    [
        pytest.param([created(1, "demo 0-1")], [("given twice", 1)], id="an-id-given-twice"),
        pytest.param([patched(1, 6.0, seen=1.0)], [("misread", 1)], id="an-answer-with-another-value"),
        pytest.param([entry("get", "refused", key=1, status=404)], [("missed", 1)], id="a-record-not-found"),
        pytest.param([entry("delete", "refused", key=1, status=404)], [("missed", 1)], id="a-delete-not-found"),
        pytest.param([entry("bulk_delete", fields={"ids": [1, 2]}, seen=1)], [("missed", None)], id="too-few-deleted"),
        pytest.param(
            [entry("delete", key=1), entry("get", key=1, seen=ONE)], [("resurrected", 1)], id="read-after-its-delete"
        ),
        pytest.param([entry("delete", key=1), entry("get", "refused", key=1, status=404)], [], id="gone-as-it-should"),
        pytest.param([patched(8, 1.0)], [("unknown id", 8)], id="an-id-of-nobody"),
    ],
)
def test_a_contradiction_on_the_way_is_found(entries: list[Entry], faults: list[tuple[str, Any]]) -> None:
    """Answers that contradict what was acknowledged before are faults, whatever the end looks like."""
    assert kinds(expected(START, entries).faults) == faults


def test_the_proof_plants_a_loss_and_finds_it() -> None:
    """The proof holds when both sources fit and a loss planted in a copy is found; a blind checker proves nothing."""
    proof = prove(START, LEDGER, final(*AFTER), final(*AFTER))
    assert proof.holds
    assert proof.facts()["acknowledged"] == 3
    lost = prove(START, LEDGER, final(*AFTER), final(AFTER[0]))
    assert not lost.holds
    assert lost.faults == ["table: lost: expense 3: it was acknowledged and is not there"]
    assert not finds_planted_loss(Expected(), final(*AFTER))


def test_the_ledger_is_read_while_it_is_written(tmp_path: Path) -> None:
    """A reader sees every complete line, once, in order, and no torn one."""
    path = tmp_path / "ledger"
    tail = Tail(path)
    assert tail.entries() == []
    ledger = LedgerFile(path)
    ledger.write(LEDGER[0])
    with path.open("ab") as file:
        file.write(LEDGER[1].line()[:20])
    assert tail.entries() == LEDGER[:1]
    with path.open("ab") as file:
        file.write(LEDGER[1].line()[20:])
    ledger.write(LEDGER[2])
    ledger.close()
    assert tail.entries() == LEDGER
    assert acknowledged(tail.entries()) == 3
    assert tail.since(1.005) == LEDGER
    assert tail.since(2.0) == []


def test_figures_count_what_was_answered_in_time() -> None:
    """Rates and percentiles are of the requests answered within the window; figures above their limit are named."""
    entries = [entry("get", ms=ms, key=1) for ms in (10.0, 20.0, 3000.0)] + [patched(1, 2.0)]
    members = [{"live": True, "query_p95_ms": 120.0, "pool_use": 0.5}, {"live": False, "query_p95_ms": 999.0}]
    figures = measure("legacy", entries, 1.0, 2.0, members)
    assert (figures.requests_s, figures.writes_s, figures.p95_query_ms) == (3.0, 1.0, 120.0)
    assert figures.over() == ["queries"]
    assert (p95([]), p95([4.0])) == (None, 4.0)


class _Teapot(BaseHTTPRequestHandler):
    """Answers each status that the path asks for; `/cut` closes the connection without an answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        word = self.path[1:]
        if word == "cut":
            self.close_connection = True
            return
        self.send_response(int(word))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests' output is not a log."""


def test_the_client_tells_what_it_knows() -> None:
    """2xx is acknowledged, 4xx refused, 5xx and a cut connection unknown, a closed port unsent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Teapot)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = Client(server.server_address[1])
    try:
        outcomes = [client.ask("GET", path).outcome for path in ("/200", "/404", "/503", "/cut", "/200")]
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        thread.join()
    assert outcomes == ["acked", "refused", "unknown", "unknown", "acked"]
    assert client.ask("GET", "/200").outcome == "unsent"


def test_the_data_is_the_same_for_one_seed(tmp_path: Path) -> None:
    """The two files of a seed are byte for byte the same, in the first version's form, ids counting from 1."""
    rows = generate(tmp_path / "a", 50, 3)
    generate(tmp_path / "b", 50, 3)
    for noun in NOUNS:
        text = (tmp_path / "a" / f"{noun}s.json").read_text("utf-8")
        assert text == (tmp_path / "b" / f"{noun}s.json").read_text("utf-8")
        assert text == json.dumps(rows[noun], indent=2)
    assert [row["id"] for row in rows["expense"]] == list(range(1, 51))


def test_a_torn_file_shows_its_whole_records() -> None:
    """Of a list cut off in the middle, the records before the cut are read, and none is made up."""
    text = json.dumps([{"id": 1}, {"id": 2, "notes": "{"}, {"id": 3}], indent=2)
    assert [row["id"] for row in whole_records(text)] == [1, 2, 3]
    assert [row["id"] for row in whole_records(text[:-8])] == [1, 2]
    assert list(whole_records("")) == []


@pytest.mark.slow
@pytest.mark.faults
def test_a_quick_run_proves_that_nothing_is_lost(tmp_path: Path) -> None:
    """`python -m services.home_budget.demo --quick` ends with status 0 and a proof, and leaves nothing behind."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-m", "services.home_budget.demo", "--quick", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["proven"]
    assert summary["proof"]["contradictions"] == 0
    assert [kill["phase"] for kill in summary["kills"]] == ["dual_write", "dual_read"]
    assert summary["postgres_outage"]["acknowledged_meanwhile"] > 0
    assert [row["phase"] for row in summary["phases"]][:4] == ["legacy", "dual_write", "dual_read", "database"]
    walked = [(move["from"], move["to"]) for move in summary["moves"] if move["store"] == "home_budget/expenses"]
    assert ("database", "dual_read") in walked
    assert walked[-1] == ("dual_read", "database")
    assert list((tmp_path / ".outlive" / "demo").iterdir()) == []
