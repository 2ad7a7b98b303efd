"""Each column, type, default, index and constraint of the facts tables that differs from what requirement 2 asks."""

from __future__ import annotations

from tests.contracts.farm.conftest import Opened, in_database
from tests.contracts.farm.differing import differences, tables

PACKAGE = "services.facts"
ASKED = {
    "facts": {
        "id": "int4", "content": "text", "created_at": "timestamp", "updated_at": "timestamp", "metadata": "jsonb",
        "validation_status": "varchar(50)", "validation_score": "numeric(5,2)",
    },
    "validation_results": {
        "id": "int4", "fact_id": "int4", "deception_patterns": "jsonb", "probability": "numeric(5,2)",
        "detected_at": "timestamp",
    },
    "api_requests": {
        "id": "int4", "endpoint": "varchar(255)", "method": "varchar(10)", "response_code": "int4",
        "duration_ms": "int4", "created_at": "timestamp", "user_agent": "text", "ip_address": "inet",
    },
}  # fmt: skip
INDEXES = {
    "facts (created_at)", "facts (validation_status)", "facts USING gin (metadata)", "facts USING gin (tags)",
    "validation_results (fact_id)", "api_requests (created_at)", "api_requests (endpoint)",
}  # fmt: skip
REFERS = "validation_results FOREIGN KEY (fact_id) REFERENCES facts(id)"
CONSTRAINTS = {f"{table} PRIMARY KEY (id)" for table in ASKED} | {REFERS}

ODD = "(outlive_position) WHERE (outlive_extra IS NOT NULL)"
CHOSEN = "ids are texts: of facts those that callers choose"
ZONE = "times are UTC"
EXACT = "figures come back as they were given"
SHOWN = "the API shows it"
LONGER = "a path or a method may be longer, and is noted all the same"
REASONS = {
    "facts.id": CHOSEN, "validation_results.id": CHOSEN, "validation_results.fact_id": CHOSEN,
    "api_requests.id": CHOSEN,
    "facts.created_at": ZONE, "facts.updated_at": ZONE, "validation_results.detected_at": ZONE,
    "api_requests.created_at": ZONE,
    "facts.validation_status": "any text", "facts.validation_score": EXACT, "validation_results.probability": EXACT,
    "facts.category": SHOWN, "facts.verified": SHOWN, "facts.tags": SHOWN, "validation_results.status": SHOWN,
    "validation_results.confidence": SHOWN, "validation_results.findings": SHOWN, "validation_results.metadata": SHOWN,
    "api_requests.endpoint": LONGER, "api_requests.method": LONGER, "api_requests.response_code": "one integer type",
    "api_requests.duration_ms": "one integer type", "api_requests.ip_address": "what a proxy says may be no address",
    "facts (category, outlive_position)": "lists of a category in their order",
    "facts (verified, outlive_position)": "lists of what is verified in their order",
    "facts (outlive_position)": "the list of all in its order",
    "validation_results (status, confidence)": "the summary",
    f"facts {ODD}": "the few rows that columns do not decide",
    f"validation_results {ODD}": "the few rows that columns do not decide",
    REFERS: "a rejected fact has a result and no row",
}  # fmt: skip


@in_database
def test_each_difference_is_named_and_explained(opened: Opened) -> None:
    """Columns, types, defaults, indexes and constraints are as asked, or stand in REASONS; nothing else does."""
    assert differences(opened, ASKED, INDEXES, CONSTRAINTS) == set(REASONS)
    assert tables(opened) == set(ASKED)
