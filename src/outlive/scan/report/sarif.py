"""The stores as SARIF 2.1.0, which code hosts show beside the lines.

A result's fingerprint is its path, symbol and rule, so that a host knows it again when lines move.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.effort import formula

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SEVERITY = {"critical": "9.0", "high": "7.0", "medium": "5.0", "low": "3.0"}
HELP = {
    "store": "Its content dies with the process, and every process has its own. Move it to a database;"
    " `outlive scan --markdown` proposes the table. If its loss is accepted, say so beside it: `# outlive: cache`.",
    "leftover": "A repository took over; the container is no longer needed. Remove it.",
}


def render(catalogue: Catalogue, findings: Iterable[Finding], version: str) -> str:
    """The SARIF log of `findings` as text; `version` is outlive's."""
    return json.dumps(log(catalogue, findings, version), ensure_ascii=False, indent=2) + "\n"


def log(catalogue: Catalogue, findings: Iterable[Finding], version: str) -> dict[str, Any]:
    """The SARIF log as plain values: one run, its rules, a result a finding, skipped files as notifications."""
    chosen = list(findings)
    rules = sorted({rule_id(each): each for each in chosen}.items())
    places = {name: at for at, (name, _) in enumerate(rules)}
    driver = {
        "name": "outlive",
        "semanticVersion": version,
        "rules": [_rule(name, each) for name, each in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"ROOT": {"uri": catalogue.root.resolve().as_uri().rstrip("/") + "/"}},
        "results": [_result(each, places[rule_id(each)]) for each in chosen],
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": list(_skipped(catalogue))}],
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def rule_id(finding: Finding) -> str:
    """What the finding is an instance of: class and pattern, `store/module-level-dict`."""
    return f"{finding.cls}/{finding.rule}" if finding.rule else finding.cls


def _rule(name: str, finding: Finding) -> dict[str, Any]:
    said = f"In-memory {finding.cls}" + (f" ({finding.rule.replace('-', ' ')})" if finding.rule else "")
    told = HELP.get(finding.cls, f"A {finding.cls}: its loss with the process is accepted.")
    return {
        "id": name,
        "name": "".join(word.capitalize() for word in name.replace("/", "-").split("-")),
        "shortDescription": {"text": said},
        "fullDescription": {"text": told},
        "help": {"text": told, "markdown": told},
        "defaultConfiguration": {"level": "warning" if finding.cls == "store" else "note"},
        "properties": {"tags": ["durability", finding.cls]},
    }


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    return {
        "ruleId": rule_id(finding),
        "ruleIndex": rule_index,
        "level": LEVELS[finding.priority] if finding.cls == "store" else "note",
        "message": {"text": message(finding)},
        "locations": [_location(finding.path, finding.line, finding.end_line)],
        "relatedLocations": [
            {
                "id": at,
                **_location(each.path, each.line, each.line),
                "message": {"text": f"the same store: {each.symbol}"},
            }
            for at, each in enumerate(finding.duplicates, 1)
        ],
        "partialFingerprints": {"outliveStore/v1": _fingerprint(finding)},
        "properties": {
            "priority": finding.priority,
            "security-severity": _SEVERITY[finding.priority],
            "service": finding.service,
            "effort": formula(finding.effort_hours, finding.effort_terms),
            "reasons": [*finding.reasons, *finding.priority_reasons],
        },
    }


def message(finding: Finding) -> str:
    """One finding in a sentence or two."""
    held = f" of {finding.record}" if finding.record else ""
    first = finding.impact[0].partition(": ")[2] if finding.impact else "; ".join(finding.reasons[:1])
    what = f"in-memory {finding.cls} ({finding.container}{held}), {finding.priority} priority"
    return f"{finding.symbol}: {what}. {first}".rstrip()


def _location(path: str, line: int, end_line: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path, errors="surrogateescape"), "uriBaseId": "ROOT"},
            "region": {"startLine": max(line, 1), "endLine": max(end_line, line, 1)},
        }
    }


def _fingerprint(finding: Finding) -> str:
    digest = blake2b(digest_size=16)
    for part in (finding.path, finding.symbol, finding.rule):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _skipped(catalogue: Catalogue) -> Iterable[dict[str, Any]]:
    for each in catalogue.skipped:
        yield {
            "level": "warning",
            "message": {"text": f"{each.path}: not read: {each.reason}"},
            "locations": [_location(each.path, each.line or 1, each.line or 1)],
        }
