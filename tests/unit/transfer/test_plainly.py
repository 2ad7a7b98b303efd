"""What a file holds as plain JSON is written so again, wherever that loads to the very same value."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlive.records import RecordType
from outlive.transfer.fit import Fit
from outlive.transfer.layout import Layout, find_layout
from outlive.transfer.plainly import Plainly, forms, with_forms
from outlive.transfer.sources import Item


@dataclass
class Order:
    order_id: str
    at: dt.datetime
    day: dt.date | None
    total: Decimal
    ref: uuid.UUID
    note: Any = None


FIT = Fit(RecordType.of(Order), "order_id")
PLAIN = {
    "order_id": "a", "at": "2026-01-02T03:04:05Z", "day": "2026-01-02", "total": 12.5,
    "ref": "00000000-0000-0000-0000-000000000007", "note": "2026-01-02",
}  # fmt: skip
FORMS = {"at": "zulu", "day": "text", "total": "number", "ref": "text"}


def loaded(value: Any) -> dict[str, Any]:
    """The document that a load makes of a record."""
    return FIT.record(Item(0, 1, None, value)).document


def test_the_first_plain_value_tells_how_a_field_stands() -> None:
    """A null and a tagged value tell nothing, a field whose type has no tag is never told."""
    vague = {**PLAIN, "at": {"$datetime": "2026-01-02T03:04:05+00:00"}, "day": None}
    assert forms(FIT, [vague]) == {"total": "number", "ref": "text"}
    assert forms(FIT, [vague, "no record", PLAIN]) == FORMS
    assert forms(FIT, [{**PLAIN, "day": "no date"}]) == {name: FORMS[name] for name in FORMS if name != "day"}


def test_a_record_is_shown_as_it_came() -> None:
    """Field by field, in its order."""
    assert list(Plainly(FIT, FORMS).document(loaded(PLAIN)).items()) == list(PLAIN.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("total", {"$decimal": "12.50"}), ("total", {"$decimal": "NaN"}), ("total", {"$decimal": "1E+400"}),
        ("at", {"$datetime": "2026-01-02T03:04:05"}), ("note", {"$date": "2026-01-02"}),
        ("at", {"$datetime": ["2026-01-02T03:04:05+01:00", {"zone": "Africa/Algiers"}]}), ("day", None),
    ],
)  # fmt: skip
def test_what_the_plain_form_would_not_give_back_loads_to_the_same(name: str, value: Any) -> None:
    """As a text or under its tag: the document is the same after both ways."""
    document = loaded({**PLAIN, name: value})
    assert loaded(Plainly(FIT, FORMS).document(document)) == document


def test_a_record_with_reserved_fields_stays_canonical() -> None:
    """What it lacks stands beside it, and a load takes only canonical values then."""
    document = {**{name: value for name, value in loaded(PLAIN).items() if name != "note"}, "$absent": ["note"]}
    assert Plainly(FIT, FORMS).document(document) == document


@given(
    st.builds(
        Order, st.sampled_from("ab"), st.datetimes(timezones=st.none() | st.just(dt.UTC) | st.timezones()),
        st.none() | st.dates(), st.decimals(), st.uuids(), st.none() | st.decimals(allow_nan=False) | st.dates(),
    ),
    st.dictionaries(st.sampled_from([*FORMS, "note", "gone"]), st.sampled_from(["text", "number", "zulu"])),
)  # fmt: skip
def test_every_form_of_every_record_loads_to_the_same(record: Order, told: dict[str, Any]) -> None:
    """Whatever the file told of its fields."""
    document = FIT.record_type.document(record)
    shown = json.loads(json.dumps(Plainly(FIT, told).document(document)))
    assert loaded(shown) == document


def test_a_layout_keeps_them(tmp_path: Path) -> None:
    """Found in the file's first records, and told again as JSON."""
    path = tmp_path / "orders.json"
    path.write_text(json.dumps([PLAIN]))
    layout = with_forms(find_layout(path), FIT, path)
    assert dict(layout.plain) == FORMS
    assert Layout.of_facts(json.loads(json.dumps(layout.facts()))) == layout
    old = {name: value for name, value in layout.facts().items() if name != "plain"}
    assert Layout.of_facts(old).plain == ()
