"""Schemas come up to date once, under one lock, for outlive and for services, with rows in their tables."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from outlive.errors import MigrationFailed, SchemaMismatch, Unavailable, Unreachable
from outlive.postgres import migrate
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.derive import check_tables, ensure_derived
from outlive.postgres.lock import LOCK_KEY, migration_lock
from outlive.postgres.migrate import (
    CONTROL,
    control_revision,
    downgrade_control,
    downgrade_service,
    migrate_service,
    migration_sql,
    upgrade_control,
)
from outlive.settings import Settings

Until = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
CONTROL_COLUMNS = {
    "service": "service epoch",
    "phase": "service store phase epoch changed_at changed_by reason seeded_at pins_overridden backfill rehearsal",
    "member": "id service host pid boot started_at seen_at lease_s left_at epoch applied fenced written_off_at report",
    "unlanded": "id service store key version op position document field reason sqlstate member created_at settled_at"
    " settled_how",
    "tombstone": "service store key version at",
    "event": "id at service store kind actor detail",
    "verification": "id service store mode requested_at requested_by member started_at finished_at epoch compared"
    " different missing extra planted_found result",
    "request": "id service store kind asked_at asked_by args member taken_at done_at result",
    "counter": "service store value updated_at",
}
ENV = """
import sqlalchemy as sa
from outlive.postgres.alembic_env import run

metadata = sa.MetaData()
sa.Table("{table}", metadata, sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("name", sa.Text),
         sa.Column("amount", sa.Numeric(10, 2)), sa.Index("ix_{table}_name", "name"), schema={schema!r})
run(metadata, "{version_table}", schema={schema!r})
"""
FIRST = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "a1", None

def upgrade():
    op.create_table("{table}", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("name", sa.Text),
                    schema={schema!r})

def downgrade():
    op.drop_table("{table}", schema={schema!r})
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "a2", "a1"

def upgrade():
    op.add_column("{table}", sa.Column("amount", sa.Numeric(10, 2)), schema={schema!r})
    with op.get_context().autocommit_block():
        op.create_index("ix_{table}_name", "{table}", ["name"], schema={schema!r}, postgresql_concurrently=True)

def downgrade():
    op.drop_index("ix_{table}_name", "{table}", schema={schema!r})
    op.drop_column("{table}", "amount", schema={schema!r})
"""
STARTER = """
import sys
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.migrate import migrate_service, upgrade_control
from outlive.settings import Settings
db = Database(Address.parse(sys.argv[1]), Settings(service=sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
done = upgrade_control(db), migrate_service(db, sys.argv[3], "notes_version", schema="notes")
print(done[0], done[1], flush=True)
db.dispose()
"""


@pytest.fixture
def fresh(empty_database: Address) -> Iterator[Database]:
    """A Database on a database with nothing in it."""
    database = Database(empty_database, Settings(service="fresh"))
    yield database
    database.dispose()


def scripts(
    folder: Path, table: str = "note", schema: str | None = "notes", version_table: str = "notes_version"
) -> Path:
    """A service's migrations: its env.py and two revisions, the second with an index made concurrently."""
    names = {"table": table, "schema": schema, "version_table": version_table}
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV.format(**names))
    (folder / "versions" / "first.py").write_text(FIRST.format(**names))
    (folder / "versions" / "second.py").write_text(SECOND.format(**names))
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder}\n")
    return folder


def alembic(folder: Path, database: Database, *words: str) -> subprocess.CompletedProcess[str]:
    """The alembic command as a person runs it in that service."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DATABASE_URL": database.address.libpq_url()}
    command = [sys.executable, "-m", "alembic", "-c", str(folder / "alembic.ini"), *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


def one(database: Database, query: Any, *values: Any) -> Any:
    """The first value of a query's first row."""
    with database.session() as conn:
        row = conn.execute(query, values).fetchone()
        return row and row[0]


def run(database: Database, statement: Any) -> None:
    """Runs a statement."""
    with database.session() as conn:
        conn.execute(statement)


def test_the_control_schema_is_the_one_that_is_agreed(db: Database) -> None:
    """Every control table has exactly its columns, in order."""
    with db.session() as conn:
        found = conn.execute(
            "SELECT table_name, string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns"
            " WHERE table_schema = 'outlive' AND table_name <> 'schema_version' GROUP BY table_name"
        ).fetchall()
    assert dict(found) == CONTROL_COLUMNS


def test_control_goes_up_once_down_with_rows_and_up_again(fresh: Database) -> None:
    """The first call migrates, the second finds nothing to do; rows do not stop the way down."""
    assert control_revision(fresh) is None
    assert upgrade_control(fresh)
    assert not upgrade_control(fresh)
    assert control_revision(fresh) == "0001"
    run(fresh, "INSERT INTO outlive.phase (service, store, phase, epoch) VALUES ('s', 't', 'dual_write', 1)")
    run(fresh, "INSERT INTO outlive.tombstone (service, store, key, version) VALUES ('s', 't', 'k', 1)")
    downgrade_control(fresh)
    assert control_revision(fresh) is None
    assert upgrade_control(fresh)
    assert one(fresh, "SELECT count(*) FROM outlive.phase") == 0


def test_an_unknown_phase_or_operation_is_refused_by_the_database(db: Database) -> None:
    """The check constraints hold whatever a program does."""
    with pytest.raises(psycopg.errors.CheckViolation):
        run(db, "INSERT INTO outlive.phase (service, store, phase, epoch) VALUES ('s', 't', 'both', 1)")
    with pytest.raises(psycopg.errors.CheckViolation):
        run(db, "INSERT INTO outlive.unlanded (service, store, key, op) VALUES ('s', 't', 'k', 'merge')")


def test_the_printed_control_sql_makes_the_same_schema(fresh: Database, db: Database) -> None:
    """What --sql prints can be run by hand, sets both time-outs, and leaves nothing for a migration to do."""
    text = migration_sql()
    assert "SET lock_timeout" in text
    assert "SET statement_timeout" in text
    with psycopg.connect(fresh.address.conninfo(), autocommit=True) as conn:
        conn.execute(text)  # type: ignore[arg-type]
    assert not upgrade_control(fresh)
    columns = (
        "SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default), ', '"
        " ORDER BY table_name, ordinal_position) FROM information_schema.columns WHERE table_schema = 'outlive'"
    )
    assert one(fresh, columns) == one(db, columns)


def test_a_schema_newer_than_the_program_is_refused(db: Database) -> None:
    """An older program does not run on, nor change, a schema that it does not know."""
    run(db, "UPDATE outlive.schema_version SET version_num = '9999'")
    with pytest.raises(MigrationFailed, match="newer than this program"):
        upgrade_control(db)
    assert one(db, "SELECT version_num FROM outlive.schema_version") == "9999"


def test_five_starts_with_a_new_migration_migrate_once(fresh: Database, tmp_path: Path) -> None:
    """Of five processes that start together one migrates each schema, the rest wait, and all serve."""
    folder = scripts(tmp_path / "notes")
    starts = [starter(fresh, folder, f"p{number}") for number in range(5)]
    answers = [start.communicate("\n", timeout=60) for start in starts]
    assert [start.returncode for start in starts] == [0] * 5, answers
    words = [answer[0].split()[-2:] for answer in answers]
    assert sorted(first for first, _ in words) == ["False"] * 4 + ["True"]
    assert sorted(second for _, second in words) == ["False"] * 4 + ["True"]


def starter(database: Database, folder: Path, name: str) -> subprocess.Popen[str]:
    """A process that will migrate when told by a line; it is ready when this returns."""
    command = [sys.executable, "-W", "error", "-c", STARTER, database.address.libpq_url(), name, str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    pipe = subprocess.PIPE
    started = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_a_killed_holder_does_not_block(fresh: Database, until: Until) -> None:
    """A process killed with the lock in its hand lets the next one migrate."""
    program = (
        "import sys, time\n"
        "from outlive.postgres.address import Address\n"
        "from outlive.postgres.connect import Database\n"
        "from outlive.postgres.lock import migration_lock\n"
        "with migration_lock(Database(Address.parse(sys.argv[1]))):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", program, fresh.address.libpq_url()]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    migrated: list[bool] = []
    waiter = threading.Thread(target=lambda: migrated.append(upgrade_control(fresh)))
    waiter.start()
    until(lambda: one(fresh, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%try_advisory%%'") >= 1)
    assert not migrated
    holder.kill()
    holder.communicate(timeout=10)
    waiter.join(20)
    assert migrated == [True]


def test_waiting_for_the_lock_has_an_end_and_names_the_holder(fresh: Database) -> None:
    """After migration_wait_s the waiter gets Unavailable with the holder's application name; the lock then goes."""
    hurried = Database(fresh.address, Settings(service="hurried", migration_wait_s=0.2))
    with migration_lock(fresh), pytest.raises(Unavailable, match="outlive:fresh"):
        upgrade_control(hurried)
    assert upgrade_control(hurried)
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = %s"
    assert one(hurried, held, LOCK_KEY) == 0
    hurried.dispose()


def test_a_migration_that_meets_a_lock_fails_whole_and_can_be_tried_again(fresh: Database, tmp_path: Path) -> None:
    """lock_timeout ends the wait for a busy table; the failed revision leaves nothing behind."""
    folder = scripts(tmp_path / "notes")
    migrate_service(fresh, folder, "notes_version", "a1", schema="notes")
    hurried = Database(fresh.address, Settings(lock_timeout_s=0.2))
    with fresh.session() as busy, busy.transaction():
        busy.execute("SELECT * FROM notes.note")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            migrate_service(hurried, folder, "notes_version", schema="notes")
    assert one(fresh, "SELECT version_num FROM notes.notes_version") == "a1"
    assert migrate_service(hurried, folder, "notes_version", schema="notes")
    hurried.dispose()


def test_a_failing_migration_is_rolled_back_and_named(fresh: Database, tmp_path: Path) -> None:
    """A revision that raises is undone, earlier ones stand, and the error says which service and why."""
    folder = scripts(tmp_path / "notes")
    broken = folder / "versions" / "second.py"
    broken.write_text(broken.read_text().replace("    with op", '    op.execute("SELECT 1 / 0")\n    with op'))
    with pytest.raises(MigrationFailed, match="notes: division by zero"):
        migrate_service(fresh, folder, "notes_version", schema="notes")
    assert one(fresh, "SELECT version_num FROM notes.notes_version") == "a1"
    present = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'note' AND column_name = 'amount'"
    assert one(fresh, present) == 0


def test_a_services_alembic_commands_all_work_with_rows(fresh: Database, tmp_path: Path) -> None:
    """upgrade, current, history, check, downgrade -1 and base, and --sql do what Alembic's manual says."""
    folder = scripts(tmp_path / "notes")
    upgrade_control(fresh)
    before = alembic(folder, fresh, "current")
    assert (before.returncode, before.stdout) == (0, "")
    assert one(fresh, "SELECT to_regnamespace('notes')") is None
    assert alembic(folder, fresh, "check").returncode != 0
    assert alembic(folder, fresh, "upgrade", "head").returncode == 0
    run(fresh, "INSERT INTO notes.note VALUES (1, 'one', 1.10), (2, 'שתיים', NULL)")
    assert "a2 (head)" in alembic(folder, fresh, "current").stdout
    history = alembic(folder, fresh, "history").stdout
    assert "a1 -> a2 (head)" in history
    checked = alembic(folder, fresh, "check")
    assert (checked.returncode, "No new upgrade" in checked.stdout) == (0, True), checked.stderr
    assert alembic(folder, fresh, "downgrade", "-1").returncode == 0
    assert one(fresh, "SELECT string_agg(name, ' ' ORDER BY id) FROM notes.note") == "one שתיים"
    assert alembic(folder, fresh, "upgrade", "head").returncode == 0
    assert alembic(folder, fresh, "downgrade", "base").returncode == 0
    assert one(fresh, "SELECT to_regclass('notes.note')") is None
    assert control_revision(fresh) == "0001"


def test_a_services_printed_sql_can_be_run_by_hand(fresh: Database, tmp_path: Path) -> None:
    """`upgrade head --sql` and `downgrade a2:base --sql` print what the commands do, without a connection."""
    folder = scripts(tmp_path / "notes")
    nowhere = Database(Address.parse("postgresql://u@127.0.0.1:1/none"))
    up = alembic(folder, nowhere, "upgrade", "head", "--sql")
    down = alembic(folder, nowhere, "downgrade", "a2:base", "--sql")
    assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr
    psql(fresh, up.stdout)
    assert one(fresh, "SELECT version_num FROM notes.notes_version") == "a2"
    assert not migrate_service(fresh, folder, "notes_version", schema="notes")
    psql(fresh, down.stdout)
    assert one(fresh, "SELECT to_regclass('notes.note')") is None


def psql(database: Database, script: str) -> None:
    """Runs a script statement by statement, as psql does."""
    with psycopg.connect(database.address.conninfo(), autocommit=True) as conn:
        for statement in script.split(";"):
            if statement.strip():
                conn.execute(statement)  # type: ignore[arg-type]


def test_check_finds_a_difference_and_sees_no_other_service(fresh: Database, tmp_path: Path) -> None:
    """`check` fails when model and table differ, and never takes another service's table for one to drop."""
    shared = scripts(tmp_path / "shared", "shared_note", None, "shared_version")
    owner = scripts(tmp_path / "notes")
    upgrade_control(fresh)
    migrate_service(fresh, shared, "shared_version")
    migrate_service(fresh, owner, "notes_version", schema="notes")
    run(fresh, "CREATE TABLE public.neighbour (id int) PARTITION BY LIST (id)")
    run(fresh, "CREATE TABLE notes.neighbour_default PARTITION OF public.neighbour DEFAULT")
    for folder in (shared, owner):
        checked = alembic(folder, fresh, "check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
    run(fresh, "ALTER TABLE public.shared_note ALTER name TYPE varchar(5)")
    run(fresh, "CREATE TABLE notes.stray (id int)")
    for folder, word in ((shared, "modify_type"), (owner, "remove_table")):
        checked = alembic(folder, fresh, "check")
        assert checked.returncode != 0
        assert word in checked.stdout + checked.stderr


def test_services_migrate_and_go_back_on_their_own(fresh: Database, tmp_path: Path) -> None:
    """Two services in one database have their own versions; one going back to base leaves the other alone."""
    one_service = scripts(tmp_path / "one", schema="one", version_table="one_version")
    two_service = scripts(tmp_path / "two", schema="two", version_table="two_version")
    assert migrate_service(fresh, one_service, "one_version", schema="one")
    assert migrate_service(fresh, two_service, "two_version", schema="two")
    run(fresh, "INSERT INTO two.note VALUES (1, 'kept', 2)")
    downgrade_service(fresh, one_service, "one_version", "base", schema="one")
    assert one(fresh, "SELECT to_regclass('one.note')") is None
    assert one(fresh, "SELECT name FROM two.note") == "kept"
    assert not migrate_service(fresh, two_service, "two_version", schema="two")
    assert migrate_service(fresh, one_service, "one_version", "a1", schema="one")
    assert not migrate_service(fresh, one_service, "one_version", "a1", schema="one")


def test_threads_of_one_process_may_migrate_together(fresh: Database, tmp_path: Path) -> None:
    """Alembic's one context a process is never used by two threads at once."""
    folders = [(scripts(tmp_path / name, schema=name, version_table=f"{name}_version"), name) for name in "abc"]
    failures: list[BaseException] = []

    def go(folder: Path, name: str) -> None:
        try:
            migrate_service(fresh, folder, f"{name}_version", schema=name)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=go, args=pair) for pair in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert [one(fresh, "SELECT to_regclass(%s)::text", f"{name}.note") for name in "abc"] == [
        "a.note",
        "b.note",
        "c.note",
    ]


def test_a_role_without_rights_is_told_so(fresh: Database) -> None:
    """A role that may not create the schema gets MigrationFailed with PostgreSQL's reason, and no password."""
    name = f"{fresh.address.database}_guest"
    with fresh.session() as conn:
        role = psycopg.sql.Identifier(name)
        conn.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'gu3st-word'").format(role))
    guest = Database(Address({**fresh.address.options, "user": name, "password": "gu3st-word"}))
    try:
        with pytest.raises(MigrationFailed, match="permission denied") as caught:
            upgrade_control(guest)
        assert "gu3st-word" not in repr(caught.value)
        assert not guest.capabilities().may_create
    finally:
        guest.dispose()
        with fresh.session() as conn:
            conn.execute(psycopg.sql.SQL("DROP ROLE {}").format(role))


def test_an_unreachable_database_is_no_failed_migration() -> None:
    """Migrating a database that is away raises Unreachable, which callers may wait out."""
    with pytest.raises(Unreachable):
        upgrade_control(Database(Address.parse("postgresql://u@127.0.0.1:1/none")))


def test_an_unknown_revision_is_named(fresh: Database, tmp_path: Path) -> None:
    """A revision that does not exist is refused before anything happens, printed or run."""
    folder = scripts(tmp_path / "notes")
    with pytest.raises(MigrationFailed, match="zz"):
        migrate_service(fresh, folder, "notes_version", "zz", schema="notes")
    with pytest.raises(MigrationFailed, match="zz"):
        migration_sql(folder, "zz")
    assert migrate.CONTROL == CONTROL


class Store:
    """What ensure_derived needs of a store's table."""

    def __init__(self, service: str, *columns: sa.Column[Any], name: str = "items") -> None:
        system = [
            sa.Column("outlive_version", sa.BigInteger, nullable=False),
            sa.Column("outlive_position", sa.Numeric, nullable=False),
        ]
        self.table = sa.Table(name, sa.MetaData(), *columns, *system, schema=service)


def key() -> sa.Column[Any]:
    """A key column as stores have it."""
    return sa.Column("outlive_key", sa.Text(collation="C"), primary_key=True)


def test_two_services_with_a_store_of_one_name_have_two_tables(db: Database) -> None:
    """A store's identity is (service, store): both tables exist and hold different rows."""
    assert ensure_derived(db, [Store("tasks", key()), Store("budget", key())])
    run(db, "INSERT INTO tasks.items VALUES ('a', 1, 1)")
    assert one(db, "SELECT count(*) FROM tasks.items") == 1
    assert one(db, "SELECT count(*) FROM budget.items") == 0
    assert not ensure_derived(db, [Store("tasks", key()), Store("budget", key())])


def test_a_new_field_adds_its_column_and_keeps_the_rows(db: Database) -> None:
    """A missing column is added; when nothing is missing no lock is taken."""
    ensure_derived(db, [Store("s", key())])
    run(db, "INSERT INTO s.items VALUES ('a', 1, 1)")
    wider = Store("s", key(), sa.Column("due", sa.DateTime(timezone=True)), sa.Column('odd %" name', sa.Text))
    assert ensure_derived(db, [wider])
    assert one(db, "SELECT count(*) FROM s.items WHERE due IS NULL") == 1
    hurried = Database(db.address, Settings(migration_wait_s=0.1))
    with migration_lock(db):
        assert not ensure_derived(hurried, [wider])
    hurried.dispose()


TYPES = [
    sa.Text(), sa.BigInteger(), sa.Integer(), sa.Float(), sa.Double(), sa.Boolean(), sa.Numeric(), sa.Numeric(10, 2),
    sa.DateTime(timezone=True), sa.DateTime(), sa.Date(), sa.Time(), sa.Interval(), sa.Uuid(), sa.LargeBinary(),
    sa.String(50), sa.String(), sa.CHAR(3), sa.JSON(), sa.dialects.postgresql.JSONB(), sa.ARRAY(sa.Text),
    sa.dialects.postgresql.TIMESTAMP(timezone=True, precision=3), sa.dialects.postgresql.INTERVAL(precision=2),
    sa.Text(collation="C"), sa.SmallInteger(), sa.dialects.postgresql.INET(), sa.Float(53), sa.Float(24), sa.DECIMAL(8),
    sa.ARRAY(sa.String(10)), sa.Time(timezone=True),
]  # fmt: skip


def test_every_column_type_fits_the_table_made_from_it(db: Database) -> None:
    """A table made by ensure_derived is never found to differ from itself, whatever its types."""
    store = Store("s", key(), *(sa.Column(f"c{number}", kind) for number, kind in enumerate(TYPES)))
    assert ensure_derived(db, [store])
    assert not ensure_derived(db, [store])
    check_tables(db, [store])


@pytest.mark.parametrize(
    ("statement", "column", "reason"),
    [
        (("CREATE TABLE s.items (outlive_key text PRIMARY KEY, n text, outlive_version bigint NOT NULL,"
         " outlive_position numeric NOT NULL)"), "n", "is text, and the store needs bigint"),
        (("CREATE TABLE s.items (outlive_key text PRIMARY KEY, n bigint, outlive_version bigint,"
         " outlive_position numeric(10,2))"), "outlive_position", "is numeric(10,2), and the store needs numeric"),
        ("CREATE TABLE s.items (outlive_key text, n bigint, outlive_version bigint, outlive_position numeric)",
         "outlive_key", "has no unique index"),
        (("CREATE TABLE s.items (outlive_key text PRIMARY KEY, n bigint, outlive_version bigint,"
         " outlive_position numeric, other int NOT NULL)"), "other", "may not be null"),
        (("CREATE TABLE s.items (outlive_key text PRIMARY KEY, n bigint GENERATED ALWAYS AS (1) STORED,"
         " outlive_version bigint, outlive_position numeric)"), "n", "is generated"),
        ("CREATE VIEW s.items AS SELECT 1 AS n", "*", "is no table"),
        (("CREATE TABLE s.items AS SELECT 'k'::text AS outlive_key, 1::bigint AS n; ALTER TABLE s.items"
         " ADD PRIMARY KEY (outlive_key)"), "outlive_version", "is missing, and rows"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_named_and_left_alone(
    db: Database, statement: str, column: str, reason: str
) -> None:
    """SchemaMismatch names table, column and reason; nothing is changed, not even for the stores beside it."""
    run(db, "CREATE SCHEMA s")
    run(db, statement)
    store = Store("s", key(), sa.Column("n", sa.BigInteger))
    with pytest.raises(SchemaMismatch) as caught:
        ensure_derived(db, [Store("beside", key()), store])
    assert (caught.value.table, caught.value.column) == ("s.items", column)
    assert reason in caught.value.reason
    assert one(db, "SELECT to_regnamespace('beside')") is None
    with pytest.raises(SchemaMismatch):
        check_tables(db, [store])


def test_a_given_table_is_checked_and_never_made(db: Database) -> None:
    """check_tables names what a service's own migrations have not made yet."""
    store = Store("s", key(), sa.Column("n", sa.BigInteger))
    with pytest.raises(SchemaMismatch, match=r"s\.items\.\*: does not exist"):
        check_tables(db, [store])
    ensure_derived(db, [Store("s", key())])
    with pytest.raises(SchemaMismatch, match=r"s\.items\.n: does not exist"):
        check_tables(db, [store])
    ensure_derived(db, [store])
    check_tables(db, [store])


def test_what_postgresql_refuses_to_make_is_named(db: Database) -> None:
    """A type that the server does not know becomes MigrationFailed with its words, and nothing is left half made."""
    from sqlalchemy.dialects.postgresql import DOMAIN

    strange = Store("s", key(), sa.Column("place", DOMAIN("geography", sa.Text, create_type=False)))
    with pytest.raises(MigrationFailed, match=r"s\.items: .*geography"):
        ensure_derived(db, [strange])
    assert one(db, "SELECT to_regnamespace('s')") is None


def test_a_busy_table_ends_the_wait_for_a_new_column(db: Database) -> None:
    """lock_timeout holds for derived tables too; tried again later the column is added."""
    ensure_derived(db, [Store("s", key())])
    wider = Store("s", key(), sa.Column("n", sa.BigInteger))
    hurried = Database(db.address, Settings(lock_timeout_s=0.2))
    with db.session() as busy, busy.transaction():
        busy.execute("SELECT * FROM s.items")
        with pytest.raises(MigrationFailed, match=r"s\.items\.n: .*lock timeout"):
            ensure_derived(hurried, [wider])
    assert ensure_derived(hurried, [wider])
    hurried.dispose()


def test_five_processes_make_derived_tables_once(db: Database) -> None:
    """Concurrent starts do not collide on CREATE TABLE."""
    made: list[bool] = []
    barrier = threading.Barrier(5)

    def start() -> None:
        mine = Database(db.address, Settings())
        barrier.wait(10)
        made.append(ensure_derived(mine, [Store("s", key()), Store("s", key(), name="others")]))
        mine.dispose()

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(made) == [False] * 4 + [True]
