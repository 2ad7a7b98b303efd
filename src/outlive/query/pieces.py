"""SQL text together with its parameters, so that both are composed in one step."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any, LiteralString, NamedTuple

from psycopg import sql


class Piece(NamedTuple):
    """A part of a statement and the values of its placeholders, in order."""

    text: sql.Composed
    values: tuple[Any, ...] = ()


def build(template: LiteralString, *parts: Any) -> Piece:
    """The template with each {} filled: by a piece, by an identifier or other SQL, or else by a parameter."""
    texts: list[sql.Composable] = []
    held: list[Any] = []
    for part in parts:
        if isinstance(part, Piece):
            texts.append(part.text)
            held.extend(part.values)
        elif isinstance(part, sql.Composable):
            texts.append(part)
        else:
            texts.append(sql.Placeholder())
            held.append(part)
    return Piece(sql.SQL(template).format(*texts), tuple(held))


def joined(separator: LiteralString, pieces: Iterable[Piece], empty: LiteralString) -> Piece:
    """The pieces in brackets with the separator between them; `empty` if there are none."""
    parts = tuple(pieces)
    if not parts:
        return build(empty)
    bracketed = [build("({})", part) for part in parts]
    values = tuple(value for part in bracketed for value in part.values)
    return Piece(sql.Composed([sql.SQL(separator).join([part.text for part in bracketed])]), values)


def listed(pieces: Iterable[Piece]) -> Piece:
    """The pieces with commas between them."""
    parts = tuple(pieces)
    values = tuple(value for part in parts for value in part.values)
    return Piece(sql.Composed([sql.SQL(", ").join([part.text for part in parts])]), values)


def composed(statement: Any) -> bytes:
    """A statement's text, its placeholders still %s."""
    if isinstance(statement, sql.Composable):
        return statement.as_bytes(None)
    return statement.encode() if isinstance(statement, str) else bytes(statement)


_MARK = re.compile(rb"%(s|%)")


def numbered(text: bytes) -> bytes:
    """The text as the server takes it: $1, $2 for its placeholders, and % for %%."""
    number = itertools.count(1)
    return _MARK.sub(lambda found: b"$%d" % next(number) if found[1] == b"s" else b"%", text)


def inlined(text: bytes, values: Iterable[Any], kept: list[Any], constant: Callable[[Any], bool]) -> bytes:
    """The text with its constant values written into it; the others go to `kept`, in order."""
    given = iter(values)

    def fill(found: re.Match[bytes]) -> bytes:
        if found[1] == b"%":
            return found[0]
        value = next(given)
        if constant(value):
            return sql.Literal(value).as_bytes(None).replace(b"%", b"%%")
        kept.append(value)
        return found[0]

    return _MARK.sub(fill, text)
