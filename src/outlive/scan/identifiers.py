"""SQL names and texts that are valid whatever the source code calls its things."""

from __future__ import annotations

import re
from hashlib import blake2b

from outlive.scan.words import word_set

MAX_BYTES = 63
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# PostgreSQL 18's reserved words and those that may only name functions or types
RESERVED = word_set("""
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
    leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps
    placing primary references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window with between bigint
    bit boolean char character coalesce dec decimal exists extract float greatest grouping inout int integer
    interval least national nchar none normalize nullif numeric out overlay position precision real row setof
    smallint substring time timestamp treat trim values varchar""")
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def quoted(name: str) -> str:
    """The name as SQL writes it, in double quotes only where it must."""
    plain = _PLAIN.fullmatch(name) is not None and name not in RESERVED
    return name if plain else '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant; backslashes are plain characters."""
    return "'" + text.replace("'", "''") + "'"


def fitted(name: str) -> str:
    """The name, cut to PostgreSQL's length with a digest at its end where it is longer; NUL is left out."""
    name = name.replace("\0", "")
    raw = name.encode("utf-8", "replace")
    if len(raw) <= MAX_BYTES:
        return raw.decode()
    digest = blake2b(raw, digest_size=3).hexdigest()
    return raw[: MAX_BYTES - 7].decode("utf-8", "ignore") + "_" + digest


def unused(name: str, taken: set[str]) -> str:
    """The name, or the first of name_2, name_3 ... that is not `taken`; it is taken afterwards."""
    found, number = fitted(name), 2
    while found in taken:
        found, number = fitted(f"{name[:50]}_{number}"), number + 1
    taken.add(found)
    return found
