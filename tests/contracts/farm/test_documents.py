"""What each service asks of a request is what its contract's document says, in the document's order.

The order is part of an answer: a 422 lists what is wrong in the order of parameters and fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.farm.catalogue import DOCUMENTS, SERVICES, Known
from tests.contracts.farm.running import load

LIMITS = ("enum", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems")
TENANT = "x-tenant-id"
WANTED = ("alerts", "billing", "crop_health", "equipment", "notifications", "tasks")


@pytest.mark.parametrize("known", [each for each in SERVICES if each.name in WANTED], ids=lambda known: known.name)
def test_requests_are_as_the_document_has_them(known: Known, tmp_path: Path) -> None:
    """The same parameters and fields in the same order, with the same limits, defaults, enums and needs."""
    theirs = json.loads((DOCUMENTS / f"{known.document}.openapi.json").read_text(encoding="utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        for name, text in {"OUTLIVE_HOME": str(tmp_path), "OUTLIVE_PHASE": "legacy", **known.environment}.items():
            patch.setenv(name, text)
        ours = load(known.package, "api").app.openapi()
    for path, operations in theirs["paths"].items():
        for method in operations:
            assert method in ours["paths"].get(path, {}), f"{method} {path}"
            said = [dict(asked(document, document["paths"][path][method])) for document in (ours, theirs)]
            named = [name for name in said[0] if name in said[1]]
            assert named == list(said[1]), f"{method} {path}"
            for name, rule in said[1].items():
                assert said[0][name] == loosened(rule, said[0][name]), f"{method} {path}: {name}"


def asked(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, rule) of each parameter, in order, of the body, and of each of its fields, in order."""
    for each in operation.get("parameters", []):
        if each["name"].lower().replace("_", "-") != TENANT:
            yield f"{each['in']} {each['name']}", rule_of(document, each["schema"], each.get("required", False))
    body = operation.get("requestBody")
    if body is not None:
        [schema] = [content["schema"] for content in body["content"].values()]
        yield "body", (body.get("required", False), list(body["content"]))
        yield from fields_of(document, "body", schema)


def fields_of(document: dict[str, Any], place: str, schema: Any) -> Iterator[tuple[str, Any]]:
    """(place, rule) of each field of an object, and of the objects in it."""
    whole = resolved(document, schema)
    for name, part in whole.get("properties", {}).items():
        yield f"{place}.{name}", rule_of(document, part, name in whole.get("required", []))
        yield from fields_of(document, f"{place}.{name}", part)


def rule_of(document: dict[str, Any], schema: Any, needed: bool) -> dict[str, Any]:
    """What a value must be like."""
    parts = [resolved(document, each) for each in resolved(document, schema).get("anyOf", [schema])]
    limits = {name: part[name] for part in parts for name in LIMITS if name in part}
    null = {"type": "null"} in parts
    return {"needed": needed, "null": null, "default": schema.get("default"), **limits}


def resolved(document: dict[str, Any], schema: Any) -> dict[str, Any]:
    """The schema that a reference names."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    whole: dict[str, Any] = schema
    return whole


def loosened(theirs: Any, ours: Any) -> Any:
    """The document's rule where ours may be narrower: what every record must have is not set to null."""
    if isinstance(theirs, dict) and theirs["null"] and not ours["null"]:
        return {**theirs, "null": False, "default": ours["default"]}
    return theirs
