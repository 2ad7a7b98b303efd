"""The measure of the scanner counts as its page says."""

from __future__ import annotations

import json
from pathlib import Path

from tools import scan_accuracy

CODE = """from flask import Flask, request

app = Flask(__name__)
orders = []
events = []
calls = []


@app.post("/orders")
def order():
    orders.append(request.get_json())
    events.append(request.get_json())
    calls.append(request.get_json())
    return "", 201
"""


def package(**given: object) -> dict[str, object]:
    """A package of the labels, with what the test gives."""
    return {"name": "x", "version": "1", "set": "tune", "kind": "service", "stores": [], "disputed": [], **given}


def test_right_false_missed_and_disputed_are_told_apart(tmp_path: Path) -> None:
    """A labelled store is right, an unlabelled one false, a disputed one neither, one not found missed."""
    (tmp_path / "app.py").write_text(CODE)
    stores = [{"path": "app.py", "symbol": name, "line": line} for name, line in (("orders", 4), ("gone", 99))]
    disputed = [{"path": "*", "symbol": "call*", "why": "who called"}]
    score = scan_accuracy.score(package(stores=stores, disputed=disputed), tmp_path)
    assert [len(each) for each in (score.right, score.false, score.missed, score.disputed)] == [1, 1, 1, 1]
    assert (score.precision, score.recall) == ("0.50", "0.50")


def test_labels_are_complete() -> None:
    """Every package is pinned by a hash, belongs to a set, and every dispute has its reason."""
    packages = json.loads(scan_accuracy.LABELS.read_text(encoding="utf-8"))["packages"]
    later = {"third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
    assert {each["set"] for each in packages} == {"tune", "held-out", *later}
    for each in packages:
        assert len(each["sha256"]) == 64
        assert all(one["why"] for one in each["disputed"])
        assert all({"path", "symbol", "line"} <= one.keys() for one in each["stores"])


def test_the_page_holds_the_figures_of_every_package() -> None:
    """The table of docs/scan-accuracy.md names each labelled package."""
    page = scan_accuracy.PAGE.read_text(encoding="utf-8")
    for each in json.loads(scan_accuracy.LABELS.read_text(encoding="utf-8"))["packages"]:
        assert f"| {each['name']} | {each['version']} |" in page


def test_labels_of_applications_hold_no_code() -> None:
    """Each says where it comes from and what is a store, and nothing else."""
    packages = json.loads(scan_accuracy.LABELS.with_name("applications.json").read_text(encoding="utf-8"))["packages"]
    allowed = {"name", "set", "kind", "file", "source", "archive", "sha256", "folder", "candidates_read"}
    for each in packages:
        assert each.keys() <= allowed | {"stores", "disputed"}
        assert each.keys() & {"file", "source", "archive"}
        assert all(one.keys() == {"path", "symbol", "line"} for one in each["stores"])
        assert all(one.keys() == {"path", "symbol", "why"} for one in each["disputed"])
