"""Each column, type and index that differs from what the requirement asks, and why; and what lists cost."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.contracts.facts import facts
from tests.contracts.facts.facts import ask, create, new_id
from tests.contracts.farm.conftest import Opened, in_database
from tests.contracts.farm.running import Running

PACKAGE = "services.facts"
ENVIRONMENT = facts.ENVIRONMENT
ASKED = {
    "facts": {
        "id": "int4", "content": "text", "created_at": "timestamp", "updated_at": "timestamp", "metadata": "jsonb",
        "validation_status": "varchar", "validation_score": "numeric",
    },
    "validation_results": {
        "id": "int4", "fact_id": "int4", "deception_patterns": "jsonb", "probability": "numeric",
        "detected_at": "timestamp",
    },
    "api_requests": {
        "id": "int4", "endpoint": "varchar", "method": "varchar", "response_code": "int4", "duration_ms": "int4",
        "created_at": "timestamp", "user_agent": "text", "ip_address": "inet",
    },
}  # fmt: skip
INDEXES = {
    "idx_facts_created_at", "idx_facts_validation_status", "idx_validation_results_fact_id",
    "idx_api_requests_created_at", "idx_api_requests_endpoint", "idx_facts_metadata", "idx_facts_tags",
}  # fmt: skip
TEXT_ID = "ids are texts that clients give, or that the service makes"
ZONE = "times are UTC with time zone"
LONGER = "a column must not refuse what clients send"
EXACT = "scores are kept as they are computed"
FIELD = "the registry's facts have it"
OURS = "a result has it"
LISTS = "a list in the order of registration"
REASONS = {
    **dict.fromkeys(["facts.id", "validation_results.id", "validation_results.fact_id", "api_requests.id"], TEXT_ID),
    **dict.fromkeys(
        ["facts.created_at", "facts.updated_at", "validation_results.detected_at", "api_requests.created_at"], ZONE
    ),
    **dict.fromkeys(["facts.validation_status", "api_requests.endpoint", "api_requests.method"], LONGER),
    **dict.fromkeys(["facts.validation_score", "validation_results.probability"], EXACT),
    **dict.fromkeys(["api_requests.response_code", "api_requests.duration_ms"], "whole numbers of one type everywhere"),
    **dict.fromkeys(["facts.category", "facts.verified", "facts.tags"], FIELD),
    **dict.fromkeys((f"validation_results.{name}" for name in ("status", "confidence", "findings", "metadata")), OURS),
    "api_requests.ip_address": "a client of a Unix socket or a proxy has a name that is no address",
    **dict.fromkeys(["idx_facts_category", "idx_facts_verified", "idx_facts_position"], LISTS),
    "idx_validation_results_status": "the summary",
    **dict.fromkeys(["ix_facts_extra", "ix_validation_results_extra"], "the few rows whose columns do not say all"),
}  # fmt: skip
OWN = {"outlive_version", "outlive_position", "outlive_extra"}


def catalogue(opened: Opened, statement: str) -> list[Any]:
    """Rows of a statement over the system's catalogue."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        return conn.execute(statement.encode(), (list(ASKED),)).fetchall()


@in_database
def test_each_difference_is_named_and_explained(opened: Opened) -> None:
    """Columns, types and indexes are as asked, or stand in REASONS; nothing else stands there. No foreign key: a fact
    that was rejected has a result and no row."""
    columns = catalogue(
        opened,
        "SELECT table_name, column_name, udt_name FROM information_schema.columns"
        " WHERE table_name = ANY(%s) AND table_schema = 'public'",
    )
    made = {(f"{table}.{name}", kind) for table, name, kind in columns if name not in OWN}
    asked = {(f"{table}.{name}", kind) for table, row in ASKED.items() for name, kind in row.items()}
    indexes = catalogue(opened, "SELECT indexname FROM pg_indexes WHERE tablename = ANY(%s) AND indexname !~ '^pk_'")
    assert {name for name, _ in made ^ asked} | ({row[0] for row in indexes} ^ INDEXES) == set(REASONS)
    keys = "SELECT 1 FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text = ANY(%s)"
    assert catalogue(opened, keys) == []


@in_database
def test_records_are_rows_under_the_requirements_names(http: Running, opened: Opened) -> None:
    """A statement is `content`, a time `created_at`; the last judgement stands beside them, and in its own table."""
    made = create(http, statement="It is wrong", metadata={"a": 1})
    ask(http, "POST", f"/facts/{made['id']}/validate")
    bad = {"id": new_id(), "category": "c", "statement": "404"}
    ask(http, "POST", "/facts/register-and-validate", json=bad)
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        statement = (
            "SELECT content, metadata, validation_status, validation_score, created_at IS NOT NULL, updated_at"
            " FROM facts WHERE id = %s"
        )
        assert conn.execute(statement, [made["id"]]).fetchone() == (
            "It is wrong", {"a": 1}, "suspicious", 0.55, True, None,
        )  # fmt: skip
        statement = (
            "SELECT fact_id, deception_patterns, probability, detected_at IS NOT NULL FROM validation_results"
            " WHERE fact_id = ANY(%s) ORDER BY probability DESC"
        )
        assert conn.execute(statement, [[made["id"], bad["id"]]]).fetchall() == [
            (made["id"], ["wrong"], 0.9, True), (bad["id"], ["404"], 0.8, True),
        ]  # fmt: skip


@in_database
def test_lists_are_served_by_indexes(http: Running, opened: Opened) -> None:
    """Among 100,000 facts a list by category, tag or verified, and the summary, scan no table."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo(), autocommit=True) as conn:
        conn.execute(
            "INSERT INTO facts (id, category, content, verified, created_at, tags, metadata, outlive_version,"
            " outlive_position) SELECT 'm' || n, 'cat' || n %% 1000, 'statement', n %% 100 = 0, now(),"
            " ARRAY['tag' || n %% 1000], '{}', n, n FROM generate_series(1, %s) AS n",
            [100_000],
        )
        conn.execute("VACUUM ANALYZE facts")
        before = scans(conn)
        for query in ({"category": "cat7"}, {"tag": "tag7"}, {"verified": "true"}, {"category": "cat7", "tag": "tag7"}):
            listed = ask(http, "GET", "/facts", params={**query, "limit": 10}).json()
            assert len(listed["facts"]) == 10
            assert listed["total"] >= 100
        first = ask(http, "GET", "/facts", params={"limit": 10}).json()
        assert len(first["facts"]) == 10
        ask(http, "GET", "/facts/summary")
        ask(http, "GET", "/facts/m7")
        assert scans(conn) - before <= 1  # how many facts there are in all
        conn.execute("DELETE FROM facts WHERE id LIKE 'm%'")


def scans(conn: psycopg.Connection[Any]) -> int:
    """How often a whole table of facts or results was read, as far as the server has told."""
    conn.execute("SELECT pg_stat_force_next_flush()")
    row = conn.execute(
        "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('facts', 'validation_results')"
    ).fetchone()
    assert row is not None
    return int(row[0])
