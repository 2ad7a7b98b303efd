"""The catalogue as table, JSON, HTML, SARIF and annotations."""

from __future__ import annotations

import io
import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rich.console import Console

from outlive.scan.catalogue import CLASSES, Catalogue
from outlive.scan.config import ScanConfig
from outlive.scan.rank import rank, ranked
from outlive.scan.report import document, github, page, sarif, terminal
from tests.unit.scan.farm import finding, guide

ROOT = Path(__file__).resolve().parents[3]
VOID = {"meta", "input", "br", "link", "img", "hr"}


class Reader(HTMLParser):
    """Collects a page's elements and checks that they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts an element as open."""
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost element, which must be of this kind."""
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        """Collects what is shown."""
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.found if name == tag]


def html(catalogue: Catalogue, *, every: bool = True) -> tuple[Reader, str]:
    """The page, read."""
    text = page.render(catalogue, ScanConfig(), today=date(2026, 1, 1), every=every)
    reader = Reader(text)
    assert reader.open == []
    return reader, text


def test_json_has_what_is_promised() -> None:
    """Every finding of every class has the promised members, and the whole is plain JSON of a named schema."""
    whole = json.loads(document.render(guide(), ScanConfig()))
    assert whole["schema"] == "outlive.scan/1"
    assert len(whole["findings"]) == len(guide().findings)
    for each in whole["findings"]:
        for name in ("path", "line", "symbol", "class", "container", "record", "priority", "reasons", "service"):
            assert name in each
        assert each["class"] in CLASSES
        assert (each["proposal"] is not None) == (each["class"] == "store")
        assert all({"level", "text"} == set(line) for line in each["impact"])
    tasks = next(each for each in whole["findings"] if each["symbol"] == "tasks_db")
    assert tasks["writers"][0]["entry"]["name"] == "POST /task-service"
    assert tasks["filters"][0]["field"] == "status"
    assert (
        tasks["proposal"]["declare"] == 'tasks_db = outlive.mapping("tasks", Task, key="task_id", tenant="tenant_id")'
    )


def test_json_is_documented() -> None:
    """The reference names every member of the document, and none that is not there."""
    text = (ROOT / "docs" / "reference" / "scan-json.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([a-z_]+)`", text, re.MULTILINE))
    assert members(json.loads(document.render(guide(), ScanConfig()))) == documented


def members(value: Any) -> set[str]:
    """Names of members at any depth; counts by priority or class have values for names."""
    if isinstance(value, list):
        return {name for each in value for name in members(each)}
    if not isinstance(value, dict):
        return set()
    inner = {name for key, each in value.items() if key not in {"stores", "others"} for name in members(each)}
    return set(value) | inner


def test_the_page_loads_nothing() -> None:
    """No element of the page names another address, and its policy forbids all but its own style and script."""
    reader, text = html(guide())
    assert not re.search(r"https?://|url\(|@import", text.replace("http-equiv", ""))
    assert [attributes for _, attributes in reader.found if {"src", "href", "style", "onclick"} & set(attributes)] == []
    policy = next(each["content"] for each in reader.all("meta") if each.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_is_read_without_scripts() -> None:
    """Every store, its impact and its table stand in the page; only filters need a script and are hidden at first."""
    reader, _ = html(guide())
    words = "".join(reader.words)
    for each in guide().findings:
        assert each.symbol in words
        assert all(line.partition(": ")[2] in words for line in each.impact)
    assert "CREATE TABLE payments (" in words
    assert len(reader.all("article")) == len(guide().findings)
    assert "hidden" in next(each for each in reader.all("form") if each.get("id") == "filters")
    assert len(reader.all("svg")) == 3
    assert all(each.get("role") == "img" and each.get("aria-label") for each in reader.all("svg"))
    assert {each["data-priority"] for each in reader.all("article")} == {"critical", "high", "medium", "low"}


def test_the_page_s_script_finds_its_elements() -> None:
    """Every element and field that the script names is in the page."""
    reader, _ = html(guide())
    script = (ROOT / "src" / "outlive" / "scan" / "report" / "page.js").read_text(encoding="utf-8")
    ids = {attributes.get("id") for _, attributes in reader.found}
    names = {attributes.get("name") for _, attributes in reader.found}
    assert set(re.findall(r'getElementById\("(\w+)"\)', script)) <= ids
    assert set(re.findall(r'wanted\.(?:get|getAll)\("(\w+)"\)', script)) <= names


def test_names_stand_in_their_own_direction() -> None:
    """Names from source stand in isolates, so that an Arabic one does not turn its neighbours around."""
    reader, text = html(guide())
    assert all(each.get("dir") == "auto" for each in reader.all("bdi") if each)
    assert '<bdi dir="auto">المهام</bdi>' in text


def test_the_page_cannot_be_scripted_by_source() -> None:
    """Markup in names, types and reasons is shown, not obeyed."""
    evil = '"><script>alert(1)</script>'
    hostile = finding(
        evil, 1, evil, evil, record=evil, reasons=(evil,), bounded=evil, declaration=evil, path=f"{evil}.py"
    )
    reader, _ = html(ranked(Catalogue(Path("/x"), (hostile,))))
    assert len(reader.all("script")) == 1
    assert evil in "".join(reader.words)


def test_an_empty_page() -> None:
    """A tree without stores gives a page that says so."""
    reader, _ = html(Catalogue(Path("/x")), every=False)
    assert "No in-memory store was found" in "".join(reader.words)


def test_sarif_has_the_shape_of_the_standard() -> None:
    """Version, tool, rules with help, results that point to rule and place, stable fingerprints, notifications."""
    catalogue = guide()
    log = json.loads(sarif.render(catalogue, catalogue.findings, "0.1.0"))
    assert (log["version"], log["$schema"].endswith("sarif-2.1.0.json")) == ("2.1.0", True)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "outlive"
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert 1 <= place["region"]["startLine"] <= place["region"]["endLine"]
        assert not place["artifactLocation"]["uri"].startswith("/")
        assert place["artifactLocation"]["uri"].isascii()
        assert place["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
    prints = [result["partialFingerprints"]["outliveStore/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].startswith("apps/services/old")


def test_annotations_are_commands() -> None:
    """One line a store; what would end a property or the line is encoded."""
    lines = github.render(guide().stores(), "farm/").splitlines()
    assert len(lines) == len(guide().stores())
    assert all(
        re.fullmatch(r"::(error|warning|notice) file=[^:]*,line=\d+,endLine=\d+,title=[^:]*::.+", line)
        for line in lines
    )
    assert any(line.startswith("::error file=farm/apps/services/billing-core/src/main.py,line=554,") for line in lines)
    hostile = github.command(rank(finding("s", 1, "a,b:c%\nd", "dict", path="x,y:z.py"), ScanConfig()))
    assert "\n" not in hostile
    assert "file=x%2Cy%3Az.py," in hostile


def test_the_plain_table() -> None:
    """Without a terminal: one aligned line a finding, stores first, the gravest on top."""
    lines = terminal.plain(guide().findings).splitlines()
    assert lines[0].split() == ["PRIORITY", "SERVICE", "WHERE", "STORE", "TYPE", "WHY", "EFFORT"]
    assert len(lines) == 1 + len(guide().findings)
    assert lines[1].startswith("critical")
    assert lines[-1].split()[0] in CLASSES
    assert terminal.plain(()) == ""


def test_the_drawn_table() -> None:
    """On a terminal every service has a heading with its folder, and every name is there, whatever the width."""
    for width in (60, 100, 200):
        stream = io.StringIO()
        terminal.draw(guide().findings, Console(file=stream, force_terminal=True, width=width))
        shown = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
        assert "billing-core  apps/services/billing-core/src/" in shown
        assert "8 critical" in shown
        assert "PAYMENTS" in shown


def test_the_summary_counts() -> None:
    """The last line has stores by priority, work, files, what else there is and what was not read."""
    told = terminal.summary(guide(), ScanConfig())
    assert re.match(
        r"19 stores \(8 critical, 8 high, 2 medium, 1 low\), about [\d.]+ days of work; 40 files in 0\.5 s; ", told
    )
    assert told.endswith("also 1 connection-state, 1 leftover, 1 registry; 1 file skipped")
    assert terminal.summary(Catalogue(Path("/x"), files=1), ScanConfig()) == "0 stores; 1 file in 0.0 s"
