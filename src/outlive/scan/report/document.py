"""The catalogue as one JSON document; docs/reference/scan-json.md describes every member."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.config import ScanConfig
from outlive.scan.propose import Proposal
from outlive.scan.report.view import Service, counted, others, services, state

SCHEMA = "outlive.scan/1"


def document(catalogue: Catalogue, config: ScanConfig) -> dict[str, Any]:
    """The whole catalogue as plain values, findings of every class included."""
    found = services(catalogue, config)
    proposed = {finding: proposal for each in found for finding, proposal in each.proposals.items()}
    return {
        "schema": SCHEMA,
        "root": str(catalogue.root),
        "files": catalogue.files,
        "seconds": round(catalogue.seconds, 3),
        "summary": {"stores": counted(catalogue.findings), "others": others(catalogue)},
        "services": [_service(each) for each in found],
        "findings": [facts(each, proposed.get(each)) for each in catalogue.findings],
        "skipped": [{"path": each.path, "line": each.line, "reason": each.reason} for each in catalogue.skipped],
    }


def render(catalogue: Catalogue, config: ScanConfig) -> str:
    """The document as text."""
    return json.dumps(document(catalogue, config), ensure_ascii=False, indent=2) + "\n"


def facts(finding: Finding, proposal: Proposal | None = None) -> dict[str, Any]:
    """One finding as plain values."""
    return {
        "path": finding.path,
        "line": finding.line,
        "end_line": finding.end_line,
        "symbol": finding.symbol,
        "class": finding.cls,
        "service": finding.service,
        "container": finding.container,
        "key": finding.key,
        "record": finding.record,
        "priority": finding.priority,
        "reasons": [*finding.reasons, *finding.priority_reasons],
        "priority_reasons": list(finding.priority_reasons),
        "state": state(finding) if finding.cls in {"store", "leftover"} else "",
        "rule": finding.rule,
        "declaration": finding.declaration,
        "comment": finding.comment,
        **_described(finding),
        **_planned(finding, proposal),
    }


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "priority": service.priority,
        "phase": service.phase,
        "stores": len(service.stores),
        "hours": service.hours,
    }


def _described(finding: Finding) -> dict[str, Any]:
    return {
        "fields": [asdict(each) for each in finding.fields],
        "readers": [asdict(each) for each in finding.readers],
        "writers": [asdict(each) for each in finding.writers],
        "filters": [asdict(each) for each in finding.filters],
        "sorts": [asdict(each) for each in finding.sorts],
        "bounded": finding.bounded,
        "in_place": finding.in_place,
        "rebound": finding.rebound,
        "iterated_while_mutated": finding.iterated_while_mutated,
        "counter": finding.counter,
        "tenant": finding.tenant,
        "money": list(finding.money),
        "personal": list(finding.personal),
        "places": list(finding.places),
        "time_fields": list(finding.time_fields),
        "duplicates": [asdict(each) for each in finding.duplicates],
    }


def _planned(finding: Finding, proposal: Proposal | None) -> dict[str, Any]:
    return {
        "impact": [dict(zip(("level", "text"), each.split(": ", 1), strict=True)) for each in finding.impact],
        "effort": {
            "hours": finding.effort_hours,
            "terms": [{"name": name, "hours": round(hours, 3)} for name, hours in finding.effort_terms],
        },
        "phase": finding.phase,
        "proposal": None
        if proposal is None
        else {
            "table": proposal.table,
            "create": list(proposal.create),
            "references": list(proposal.references),
            "notes": list(proposal.notes),
            "declare": proposal.declare,
        },
    }
