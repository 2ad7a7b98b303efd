"""`outlive doctor`: what around the stores could hurt them."""

from __future__ import annotations

import os
from dataclasses import asdict

import typer

from outlive.cli import output, session
from outlive.cli.checks import Finding, database_checks, host_checks
from outlive.cli.options import AsJson
from outlive.errors import NotOpen, OutliveError, Unreachable

NAME = "doctor"


def command(json: AsJson = False) -> None:
    """Check what around the stores could hurt them.

    Server, role, pooler, connections, pins, journal disk, clock, sequences, partitions, duplicates. Each line is ok,
    warn or fail, with the next command; ends with status 1 when a line fails, 4 without PostgreSQL.
    """
    settings = session.read_settings()
    findings = host_checks(settings, os.environ)
    status = 0
    try:
        with session.opened(control=False) as opened:
            findings += database_checks(opened)
    except (Unreachable, NotOpen) as failure:
        findings.append(Finding("database", "fail", str(failure), "start PostgreSQL, or set DATABASE_URL"))
        status = failure.exit_code
    if not status and any(finding.level == "fail" for finding in findings):
        status = OutliveError.exit_code
    if json:
        output.document({"ok": status == 0, "checks": [asdict(finding) for finding in findings]})
    else:
        output.table(("state", "check", "finding", "next"), [(f.level, f.name, f.figure, f.next) for f in findings])
    if status:
        raise typer.Exit(status)
