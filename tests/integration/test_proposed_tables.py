"""The tables that a scan proposes are valid for PostgreSQL, whatever the source calls its things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from outlive.postgres.address import Address
from outlive.scan.catalogue import FieldInfo, Finding, Use
from outlive.scan.identifiers import RESERVED
from outlive.scan.propose import Proposal, proposals
from tests.unit.scan.farm import fields, finding, guide

AWKWARD = (
    'order; user; select; a"b; Größe; المهمة; ctid; xmin; key; value; document; position; id; only_row; ' + "x" * 90
)


@pytest.fixture
def conn(empty_database: Address) -> Any:
    """A connection to a database with nothing in it."""
    with psycopg.connect(empty_database.conninfo(), autocommit=True) as connection:
        yield connection


def execute(conn: psycopg.Connection, proposed: Sequence[Proposal]) -> None:
    """Runs the proposals of one database as the guide prints them: tables and indexes first, references after."""
    for proposal in proposed:
        for statement in proposal.create:
            conn.execute(statement.encode())
    for proposal in proposed:
        for statement in proposal.references:
            conn.execute(statement.encode())


def columns(conn: psycopg.Connection, table: str) -> dict[str, tuple[str, str]]:
    """Type and nullability of a table's columns."""
    rows = conn.execute(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = %s", [table]
    )
    return {name: (kind, nullable) for name, kind, nullable in rows}


def test_the_guide_s_tables_can_be_made(conn: psycopg.Connection) -> None:
    """Every service's proposal runs, with its indexes and references, in a schema of its own."""
    catalogue = guide()
    for service in catalogue.services:
        proposed = list(proposals(each for each in catalogue.findings if each.service == service).values())
        conn.execute("DROP SCHEMA public CASCADE")
        conn.execute("CREATE SCHEMA public")
        execute(conn, proposed)
        if service == "billing-core":
            check_billing(conn)
        if service == "crop-health-ai":
            conn.execute(
                "INSERT INTO diagnosis_history VALUES (DEFAULT, 'd', 'rust', 0.5, NULL, NULL, 15.3, 44.2, now())"
            )
            found = conn.execute(
                "SELECT id FROM diagnosis_history WHERE point(longitude, latitude) <@ box '(45,16),(44,15)'"
            )
            assert found.fetchall() == [("d",)]


def check_billing(conn: psycopg.Connection) -> None:
    """Amounts are numeric, times carry a zone, optional fields may be null, references and choices are enforced."""
    assert columns(conn, "payments")["amount"] == ("numeric", "NO")
    assert columns(conn, "payments")["processed_at"] == ("timestamp with time zone", "NO")
    assert columns(conn, "payments")["stripe_payment_id"] == ("text", "YES")
    assert columns(conn, "invoices")["line_items"] == ("jsonb", "NO")
    paid = (
        b"INSERT INTO payments VALUES"
        b" (gen_random_uuid(), gen_random_uuid(), 't', 1.10, DEFAULT, 'card', %s, NULL, now())"
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute(paid, ["it's paid"])
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(paid, ["lost"])
    listed = conn.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'usage_records'").fetchall()
    assert any('(tenant_id, metric, "timestamp" DESC)' in definition for (definition,) in listed)
    assert conn.execute("SELECT nextval('invoice_counter')").fetchone() == (1,)


def check_places(conn: psycopg.Connection) -> None:
    """The index on places serves the operators of points and boxes."""
    conn.execute("INSERT INTO diagnosis_history VALUES (DEFAULT, 'd', 'rust', 0.5, NULL, NULL, 15.3, 44.2, now())")
    inside = "SELECT id FROM diagnosis_history WHERE point(longitude, latitude) <@ box '(45,16),(44,15)'"
    assert conn.execute(inside.encode()).fetchall() == [("d",)]


SHAPES = """
    dict[str, Task]; dict[int, Task]; dict[UUID, Task]; dict[tuple[str, int], Task]; dict[str, list[Task]];
    dict[str, dict[str, Task]]; dict[str, set[str]]; dict[str, dict[str, list[int]]]; dict[str, int]; list[Task];
    list[float]; deque[str]; set[str]; set[tuple[int, int]]; Counter[str]; defaultdict[str, float]; int; str;
    datetime | None; json file; csv file; shelve; sqlite3 :memory:; dict; list; ; dict[; array;
    ContextVar[dict[str, Task]]; dict[str, 'Task | None']; WeakValueDictionary[str, Task]"""


@pytest.mark.parametrize("container", [each.strip() for each in SHAPES.split(";")])
def test_every_shape_has_a_table(conn: psycopg.Connection, container: str) -> None:
    """Each container, with and without known fields, with every name that could trip SQL, gives SQL that runs."""
    bare = Finding("app.py", 1, 1, "State.order", "store", container)
    known = replace(bare, symbol="user", fields=tuple(FieldInfo(name.strip()) for name in AWKWARD.split(";")))
    asked = tuple(Use(field.name, "==", "app.py", at) for at, field in enumerate(known.fields))
    sorted_by = tuple(Use(field.name, "desc", "app.py", at) for at, field in enumerate(known.fields))
    queried = replace(known, symbol="group", filters=asked, sorts=sorted_by, tenant="user")
    proposed = proposals([bare, known, queried, replace(bare, line=7)])
    execute(conn, list(proposed.values()))
    assert len({each.table for each in proposed.values()}) == 4


def test_every_annotation_has_a_type(conn: psycopg.Connection) -> None:
    """Annotations become the types that outlive derives, jsonb where there is none."""
    record = fields(
        "a: int = 5; b: float = 1.5; c: Decimal; d: bool = False; e: datetime; f: date; g: time; h: timedelta; i: UUID;"
        " j: bytes; k: list[str]; l: Optional[int]; m: Union[str, None]; n: int | str; o: Literal[1, 2]; p: 'Task';"
        " q: Annotated[str, x]; r: pydantic.EmailStr; s: TaskStatus = TaskStatus.OPEN; t: str = 'it\\'s';"
        " u: dict = field(default_factory=dict); v: ?; w:; z: int = 99999999999999999999; created_at; is_open; name"
    )
    store = finding("s", 1, "things", "dict[str, Thing]", record="Thing", key="str", fields=record)
    execute(conn, list(proposals([store]).values()))
    kinds = {name: kind for name, (kind, _) in columns(conn, "things").items()}
    wanted = """
        a bigint, b double precision, c numeric, d boolean, e timestamp with time zone, f date,
        g time without time zone, h interval, i uuid, j bytea, k jsonb, l bigint, m text, n jsonb, o bigint, p jsonb,
        q text, r text, s text, t text, u jsonb, v jsonb,
        created_at timestamp with time zone, is_open boolean, name text, key text"""
    assert dict(each.split(maxsplit=1) for each in wanted.split(",")).items() <= kinds.items()
    assert {name for name, (_, nullable) in columns(conn, "things").items() if nullable == "YES"} == {"l", "m"}


def test_reserved_words_are_those_of_the_server(conn: psycopg.Connection) -> None:
    """Every word that this server reserves is quoted."""
    rows = conn.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')").fetchall()
    assert {word for (word,) in rows} - RESERVED == set()
