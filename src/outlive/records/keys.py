"""Keys of stores as text: canonical, collision free, readable.

The text is the compact JSON of the key's canonical form, so 1, True, "1", 1.0 and None are five different texts.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any

from outlive.errors import Unholdable
from outlive.records.codec import decode_any, encode_any
from outlive.records.wire import canonical_text, parse

_PLAIN_INT = 1 << 64


def key_text(key: Any) -> str:
    """Text of a key; raises Unholdable for keys that have none (NaN, NUL in text, objects without canonical form)."""
    kind = type(key)
    if kind is str and key.isascii() and "\x00" not in key:
        return encode_basestring(key)
    if kind is int and -_PLAIN_INT < key < _PLAIN_INT:
        return str(key)
    try:
        return canonical_text(encode_any(key))
    except Unholdable as error:
        error.key, error.field = repr(key), error.field or "key"
        raise


UNHELD = "$unheld"


def key_name(key: Any) -> str:
    """Text of any key: `key_text` where there is one, else what `repr` tells, marked as such."""
    try:
        return key_text(key)
    except Unholdable:
        return json.dumps({UNHELD: repr(key)})


def parse_key(text: str) -> Any:
    """The key that `key_text` wrote, with its type; raises ValueError for other text."""
    return decode_any(parse(text))
