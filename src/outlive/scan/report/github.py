"""The stores as GitHub's workflow commands, which it shows beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from outlive.scan.catalogue import Finding
from outlive.scan.report.sarif import message

KINDS = {"critical": "error", "high": "warning", "medium": "warning", "low": "notice"}


def render(findings: Iterable[Finding], prefix: str = "") -> str:
    """One command a finding; `prefix` is the scanned root relative to the repository's, with a `/` at its end."""
    return "".join(f"{command(each, prefix)}\n" for each in findings)


def command(finding: Finding, prefix: str = "") -> str:
    """`::warning file=...,line=...,endLine=...,title=...::text`."""
    facts = {
        "file": prefix + finding.path,
        "line": str(finding.line),
        "endLine": str(max(finding.end_line, finding.line)),
        "title": f"in-memory {finding.cls}: {finding.symbol}",
    }
    listed = ",".join(f"{name}={_property(value)}" for name, value in facts.items())
    kind = KINDS[finding.priority] if finding.cls == "store" else "notice"
    return f"::{kind} {listed}::{_data(message(finding))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
