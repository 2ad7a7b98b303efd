"""The checks of `outlive doctor`: each gives a finding with a figure and, unless all is well, the next command."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from psycopg import sql

from outlive.cli.session import SERVICE_CONNECTIONS, Session, home_of
from outlive.phases.control import read_figures, read_stores
from outlive.phases.figures import Member
from outlive.phases.flags import DUAL_WRITE_ENABLED, PHASE_VARIABLE, USE_DATABASE, USE_DATABASE_STORAGE
from outlive.phases.orders import Desk
from outlive.postgres.connect import Connection
from outlive.postgres.drive import drive
from outlive.runtime.perishing import why_journals_die
from outlive.settings import Settings

OLDEST_SERVER = 14
CLOCK_WARN_S, CLOCK_FAIL_S = 1.0, 60.0
DISK_WARN_BYTES, DISK_FAIL_BYTES = 1 << 30, 100 << 20
SEQUENCES = """
SELECT n.nspname, t.relname, a.attname, quote_ident(sn.nspname) || '.' || quote_ident(s.relname), sn.nspname, s.relname
FROM pg_class AS s JOIN pg_namespace AS sn ON sn.oid = s.relnamespace
JOIN pg_depend AS d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                   AND d.deptype IN ('a', 'i')
JOIN pg_class AS t ON t.oid = d.refobjid JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3
"""
STRAYS = """
SELECT n.nspname, c.relname, p.relname FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS p ON p.oid = i.inhparent
JOIN pg_attribute AS a ON a.attrelid = p.oid AND a.attname = 'outlive_version'
WHERE pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' ORDER BY 1, 2
"""
STRAYS_SHOWN = 1000
# Plain indexes over columns whose comment says that no value should stand twice, with their table's key.
MEANT_UNIQUE = """
SELECT n.nspname, t.relname, ARRAY(SELECT a.attname FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.number
    WHERE k.place <= i.indnkeyatts ORDER BY k.place),
  ARRAY(SELECT a.attname FROM pg_index AS p CROSS JOIN unnest(p.indkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.number
    WHERE p.indrelid = t.oid AND p.indisprimary ORDER BY k.place)
FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_description AS d ON d.objoid = i.indexrelid AND d.classoid = 'pg_class'::regclass
WHERE trim(d.description) = 'outlive: meant to be unique' AND i.indexprs IS NULL AND i.indpred IS NULL
  AND NOT t.relispartition ORDER BY 1, 2, 3
"""
DUPLICATES_SHOWN, KEYS_SHOWN = 20, 5
Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor."""

    name: str
    level: Level
    figure: str
    next: str = ""


def host_checks(settings: Settings, env: Mapping[str, str]) -> list[Finding]:
    """What can be checked without PostgreSQL."""
    return [journal_disk(settings), journal_place(settings, env), *orders(settings), pins_here(env)]


def database_checks(session: Session) -> list[Finding]:
    """What the server, its role and the control tables tell."""
    findings = [*server(session), clock(session.conn), schema(session)]
    if findings[-1].level == "ok":
        findings += [*budget(session), *members(session)]
    return findings + sequences(session.conn) + strays(session.conn) + duplicates(session.conn)


def journal_disk(settings: Settings) -> Finding:
    """Room on the disk of the journals."""
    folder = home_of(settings)
    free = shutil.disk_usage(folder).free
    level: Level = "fail" if free < DISK_FAIL_BYTES else "warn" if free < DISK_WARN_BYTES else "ok"
    hint = "" if level == "ok" else f"free space on the disk of {folder}, or move OUTLIVE_HOME"
    return Finding("journal disk", level, f"{free / (1 << 30):.1f} GiB free at {folder}", hint)


def journal_place(settings: Settings, env: Mapping[str, str]) -> Finding:
    """Whether the journals outlive this machine's restart and this container."""
    why = why_journals_die(settings, env)
    if why is None:
        return Finding("journal place", "ok", "lasts as long as the database, or need not")
    hint = "put OUTLIVE_HOME on a volume, or set OUTLIVE_JOURNAL_MAY_BE_LOST=true"
    return Finding("journal place", "warn", f"{why}; writes are refused while PostgreSQL is away", hint)


def orders(settings: Settings) -> Iterator[Finding]:
    """What was taken back from an image here, and its row does not say yet."""
    for folder in sorted((settings.home / "orders").glob("*")):
        desk = Desk(settings.home, unquote(folder.name))
        for standing in filter(None, map(desk.standing, desk.stores())):
            name = f"{standing.order.service}/{standing.order.store}"
            figure = f"{name} was taken back to {standing.order.to} from its image; its row has not followed"
            hint = f"start PostgreSQL, or: outlive rollback {name} --from-image --withdraw --reason TEXT"
            yield Finding("from image", "warn", standing.conflict or figure, hint)


def pins_here(env: Mapping[str, str]) -> Finding:
    """Variables of this environment that would pin the phases of a service started in it."""
    names = [name for name in env if name.startswith(PHASE_VARIABLE)]
    names += [name for name in (USE_DATABASE_STORAGE, DUAL_WRITE_ENABLED, USE_DATABASE) if env.get(name)]
    if not names:
        return Finding("environment", "ok", "no variable here sets a phase")
    return Finding("environment", "warn", f"set here: {', '.join(sorted(names))}", "unset them before the next start")


def server(session: Session) -> Iterator[Finding]:
    """Version, encoding, durability, role and pooler."""
    can = session.database.capabilities()
    major = can.server_version // 10_000
    fits = major >= OLDEST_SERVER
    yield Finding("server", "ok" if fits else "fail", f"PostgreSQL {major}", "" if fits else "use 14 or newer")
    utf8 = can.encoding == "UTF8"
    yield Finding("encoding", "ok" if utf8 else "fail", can.encoding, "" if utf8 else "use a UTF8 database")
    safe = can.fsync and can.synchronous_commit != "off"
    figure = f"fsync {'on' if can.fsync else 'off'}, synchronous_commit {can.synchronous_commit}"
    yield Finding("durability", "ok" if safe else "fail", figure, "" if safe else "set both on: a crash loses commits")
    yield _role(session)
    yield from _tenants(session)
    yield _pooler(session)


def clock(conn: Connection) -> Finding:
    """The offset between this host's clock and PostgreSQL's, half the round trip taken off."""
    before = time.time()
    row = conn.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    after = time.time()
    offset = (before + after) / 2 - row[0] if row else 0.0
    far = abs(offset)
    level: Level = "fail" if far > CLOCK_FAIL_S else "warn" if far > CLOCK_WARN_S else "ok"
    return Finding("clock", level, f"{offset * 1000:+.0f} ms from PostgreSQL's", "" if level == "ok" else "run NTP")


def schema(session: Session) -> Finding:
    """Whether the control tables are there."""
    from outlive.postgres.migrate import control_revision  # Alembic takes a third of a second

    revision = control_revision(session.database)
    if revision is None:
        return Finding("schema outlive", "fail", "missing", "outlive migrate")
    return Finding("schema outlive", "ok", f"revision {revision}")


def budget(session: Session) -> Iterator[Finding]:
    """Connections that all live members may open, against what the server has."""
    each = session.settings.connections + SERVICE_CONNECTIONS
    for store in drive(read_stores(), session.conn)[:1]:
        figures = drive(read_figures(store.service, store.store, connections_per_member=each), session.conn)
        needed, available = figures.connections.needed, figures.connections.available
        fits = needed <= available
        hint = "" if fits else "raise max_connections, or lower DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW"
        yield Finding("connections", "ok" if fits else "fail", f"members may open {needed} of {available}", hint)


def members(session: Session) -> Iterator[Finding]:
    """Pinned and silent members of every store."""
    pinned: set[str] = set()
    silent: dict[int, Member] = {}
    for store in drive(read_stores(), session.conn):
        figures = drive(read_figures(store.service, store.store), session.conn)
        pinned |= {f"{store} by {member.pin} in {member.name}" for member in figures.live if member.pin}
        silent |= {member.id: member for member in figures.lapsed}
    hint = "unset the variable and restart, or advance with --override-pins"
    yield Finding("pins", "warn", "; ".join(sorted(pinned)), hint) if pinned else Finding("pins", "ok", "none")
    for number, member in sorted(silent.items()):
        figure = f"{member.name} is silent for {member.seen_age_s:.0f} s"
        yield Finding("member", "warn", figure, f"bring it back, or: outlive write-off {number} --reason TEXT")


def sequences(conn: Connection) -> list[Finding]:
    """Sequences that would hand out a number that their column already holds."""
    found = conn.execute(SEQUENCES).fetchall()
    behind = [finding for row in found if (finding := _sequence(conn, *row)) is not None]
    return behind or [Finding("sequences", "ok", f"{len(found)} checked, none behind its column")]


def strays(conn: Connection) -> list[Finding]:
    """DEFAULT partitions that hold rows: a range scan reads them whatever it looks for."""
    found = conn.execute(STRAYS).fetchall()
    return [finding for row in found if (finding := _stray(conn, *row)) is not None]


def duplicates(conn: Connection) -> list[Finding]:
    """Values that stand more than once in columns whose index is meant to be unique and, as it is accepted, is not."""
    found = conn.execute(MEANT_UNIQUE).fetchall()
    twice = [finding for row in found for finding in _duplicates(conn, *row)]
    if not found or twice:
        return twice
    return [Finding("duplicates", "ok", f"{len(found)} indexes meant to be unique, no value twice")]


def _duplicates(conn: Connection, schema_: str, table: str, columns: list[str], key: list[str]) -> Iterator[Finding]:
    """One finding a value, most often first, then one that says that there are more."""
    listed, keys = (sql.SQL(", ").join(map(sql.Identifier, names)) for names in (columns, key or columns))
    query = sql.SQL(
        "SELECT concat_ws(', ', {listed}), count(*),"
        " (array_agg(concat_ws(', ', {keys}) ORDER BY {keys}))[:{keys_shown}]"
        " FROM {table} WHERE num_nulls({listed}) = 0"
        " GROUP BY {listed} HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {most}"
    ).format(
        listed=listed, keys=keys, table=sql.Identifier(schema_, table), keys_shown=sql.Literal(KEYS_SHOWN),
        most=sql.Literal(DUPLICATES_SHOWN + 1),
    )  # fmt: skip
    place = f"{schema_}.{table} ({', '.join(columns)})"
    rows = conn.execute(query).fetchall()
    for value, times, holders in rows[:DUPLICATES_SHOWN]:
        more = "; …" if times > len(holders) else ""
        figure = f"{value!r} stands {times} times in {place}: {'; '.join(holders)}{more}"
        yield Finding("duplicates", "warn", figure, "correct all but one, or leave them: they are accepted")
    if len(rows) > DUPLICATES_SHOWN:
        yield Finding(
            "duplicates", "warn", f"more values stand twice in {place}", "correct these, then: outlive doctor"
        )


def _stray(conn: Connection, schema_: str, name: str, table: str) -> Finding | None:
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS first_rows").format(
        sql.Identifier(schema_, name), sql.Literal(STRAYS_SHOWN)
    )
    row = conn.execute(query).fetchone()
    if row is None or not row[0]:
        return None
    many = "at least " if row[0] == STRAYS_SHOWN else ""
    hint = f"a running service moves those of the past in time; what stays lies outside every partition of {table}"
    return Finding("partitions", "warn", f"{schema_}.{name} holds {many}{row[0]} rows", hint)


def _sequence(
    conn: Connection, schema_: str, table: str, column: str, shown: str, own_schema: str, own: str
) -> Finding | None:
    query = sql.SQL(
        "SELECT (SELECT max({column}) FROM {table}), s.last_value, s.is_called FROM {sequence} AS s"
    ).format(
        column=sql.Identifier(column), table=sql.Identifier(schema_, table), sequence=sql.Identifier(own_schema, own)
    )
    row = conn.execute(query).fetchone()
    if row is None or row[0] is None or row[0] < row[1] + int(row[2]):
        return None
    figure = f"{shown} stands at {row[1]}, {schema_}.{table}.{column} holds {row[0]}"
    return Finding("sequences", "fail", figure, f"psql: SELECT setval('{shown}', {row[0]})")


def _role(session: Session) -> Finding:
    can = session.database.capabilities()
    if session.settings.embedded:
        return Finding("role", "ok", "the embedded server's own")
    if can.is_superuser:
        return Finding("role", "warn", "superuser: row-level security does not bind it", "use a role of its own")
    if can.bypasses_rls:
        return Finding("role", "warn", "bypasses row-level security", "ALTER ROLE … NOBYPASSRLS")
    if not can.may_create:
        return Finding(
            "role", "warn", "may not create schemas", "GRANT CREATE ON DATABASE … to it, or migrate as owner"
        )
    return Finding("role", "ok", "no superuser, bound by row-level security")


_POLICIES = """
SELECT count(*)::int, coalesce(bool_or(pg_has_role(current_user, c.relowner, 'USAGE')), false)
FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid WHERE p.polname = 'outlive_tenant'
"""


def _tenants(session: Session) -> Iterator[Finding]:
    """Whether row-level security can prove anything to this role, where tables of several tenants are under it."""
    row = session.conn.execute(_POLICIES).fetchone()
    tables, owner = row if row is not None else (0, False)
    if not tables:
        return
    can, hint = session.database.capabilities(), "outlive migrate --app-role ROLE as the owner; serve as that role"
    if can.is_superuser or can.bypasses_rls:
        yield Finding("tenants", "fail", f"row-level security of {tables} tables does not bind this role", hint)
    elif owner:
        yield Finding("tenants", "warn", "this role owns tables under row-level security and could drop it", hint)
    else:
        yield Finding("tenants", "ok", f"row-level security of {tables} tables binds this role")


def _pooler(session: Session) -> Finding:
    if not session.database.capabilities().pooler:
        return Finding("pooler", "ok", "none in between")
    if "DATABASE_DIRECT_URL" in session.settings.database:
        return Finding("pooler", "ok", "one in between, a direct address is set")
    return Finding("pooler", "warn", "one in between", "set DATABASE_DIRECT_URL, which migrations need")
