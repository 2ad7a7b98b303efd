"""Hypothesis strategies for anything that a record may hold."""

from __future__ import annotations

import datetime as dt
import decimal
import zoneinfo
from typing import Any

from hypothesis import strategies as st

from tests.unit.records.kinds import BERLIN, FIELDS, VALUES, Address, Colour, Level, Point, Tag

_ZONES = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.sampled_from([BERLIN, zoneinfo.ZoneInfo("Asia/Jerusalem"), zoneinfo.ZoneInfo("UTC")]),
    st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))),
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
decimals = st.one_of(
    st.decimals(allow_nan=False),
    st.builds(
        lambda sign, digits, exponent: decimal.Decimal((sign, tuple(digits), exponent)),
        st.sampled_from([0, 1]),
        st.lists(st.integers(0, 9), min_size=1, max_size=30),
        st.integers(-40, 40),
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.binary(),
    decimals,
    st.datetimes(timezones=_ZONES),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Colour, *Level]),
)
_names = st.one_of(texts, st.sampled_from(["$decimal", "$dict", "$unset", "$raw", "$order", "id", "text"]))
hashables = st.recursive(scalars, lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner)), max_leaves=4)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(_names, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=3),
        st.sets(hashables, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Tag, texts, inner),
        st.builds(Address, street=texts, number=st.integers()),
    )


values = st.recursive(scalars, _containers, max_leaves=8)
# Distinct keys under Python's equality; the first of equal ones (1, True, 1.0) stays, as in a dict.
plain_records = st.dictionaries(st.one_of(_names, hashables), values, max_size=5)
field_values = st.dictionaries(
    st.sampled_from(FIELDS), st.one_of(values, st.sampled_from([*VALUES.values()])), max_size=8
)
