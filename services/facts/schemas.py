"""What clients send."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat

DEEPEST = 100
SCORES = ("reliability", "performance", "efficiency")


def sendable(value: Any) -> Any:
    """A value that can be answered as JSON. Raises ValueError for NaN, infinity, half characters and deep nesting."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for each in level if isinstance(each, dict | list) for part in _parts(each)]
        if not level:
            break
    else:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character") from None
    return value


def _parts(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


Object = Annotated[dict[str, Any], AfterValidator(sendable)]


def _scored(attributes: dict[str, Any]) -> dict[str, Any]:
    for name in SCORES:
        value = attributes.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{name} must be a number between 0 and 1")
    return attributes


class RawProductData(BaseModel):
    """Raw product payload for BBFB processing."""

    make: str = Field(min_length=1)
    model: str = Field(min_length=1)
    category: str = Field(min_length=1)
    price: FiniteFloat = Field(gt=0)
    attributes: Annotated[Object, AfterValidator(_scored)] = {}


class FactUpdate(BaseModel):
    """Fields that the body names are set; none of them can be null."""

    category: str = ""
    statement: str = ""
    verified: bool = False
    timestamp: dt.datetime = dt.datetime.min.replace(tzinfo=dt.UTC)
    tags: list[str] = []
    metadata: Object = {}


class FactCreate(BaseModel):
    id: str
    category: str
    statement: str
    verified: bool = False
    timestamp: dt.datetime | None = None
    tags: list[str] = []
    metadata: Object = {}
