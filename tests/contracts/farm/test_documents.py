"""Each service takes what its contract's document says, and names what is wrong in the same order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.farm.catalogue import DOCUMENTS, SERVICES, Known
from tests.contracts.farm.running import load

Asked = tuple[list[str], set[str]]


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The operations of a document by method and path, whatever a path calls its parameters."""
    return {
        (method, re.sub(r"\{[^}]*\}", "{}", path)): each
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    }


def fields(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[Asked]:
    """(names in their order, those that are required) of the query, and of the body and what it is made of."""
    query = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    yield [each["name"] for each in query], {each["name"] for each in query if each["required"]}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _of_schema(document, content["schema"])


def _of_schema(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[Asked]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        yield list(schema["properties"]), set(schema.get("required", ()))
    for part in (schema.get("items"), *schema.get("properties", {}).values()):
        if isinstance(part, dict):
            yield from _of_schema(document, part)


@pytest.mark.parametrize("known", SERVICES, ids=lambda known: known.name)
def test_fields_stand_in_the_order_of_the_document(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation errors come in the order of fields: ours begin with the contract's, and need the same ones."""
    for name, text in known.environment.items():
        monkeypatch.setenv(name, text)
    theirs = json.loads((DOCUMENTS / f"{known.document}.openapi.json").read_text(encoding="utf-8"))
    ours = load(known.package, "api").app.openapi()
    here = operations(ours)
    for place, operation in operations(theirs).items():
        assert place in here, place
        for (asked, needed), (taken, must) in zip(fields(theirs, operation), fields(ours, here[place]), strict=False):
            assert [name for name in taken if name in asked] == [name for name in asked if name in taken], place
            assert must == needed, place
