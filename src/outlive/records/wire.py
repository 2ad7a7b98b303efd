"""Documents as bytes: the compact UTF-8 JSON that journals, comparisons and digests work on."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, NoReturn

Json = Any
Document = dict[str, Json]


class Missing:
    """Type of `MISSING`, which stands for a field that a record does not have; it is falsy."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


_encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _encode_by(make: Any, quote: Callable[[str], str]) -> Callable[[Any], str]:
    """What `_encoder.encode` does, without setting up C's encoder for every value."""
    pieces = make(None, _encoder.default, quote, None, ":", ",", False, False, False)
    return lambda value: "".join(pieces(value, 0))


_made = getattr(json.encoder, "c_make_encoder", None)
_encode = _encoder.encode if _made is None else _encode_by(_made, json.encoder.encode_basestring)
_encode_ascii = json.dumps if _made is None else _encode_by(_made, json.encoder.encode_basestring_ascii)


def ascii_text(value: Json) -> str:
    """JSON text in ASCII: also of text that is no valid Unicode."""
    return _encode_ascii(value)


def canonical_text(value: Json) -> str:
    """Compact JSON text of a document or of one of its values; keys stay in their order."""
    return _encode(value)


def canonical(document: Json) -> bytes:
    """Compact UTF-8 JSON of a document; equal documents in equal order give equal bytes.

    Raises ValueError for what no document contains (NaN, objects).
    """
    return _encode(document).encode()


def parse(data: bytes | str) -> Json:
    """The document (or value) that `canonical` wrote; raises ValueError when `data` is no JSON."""
    return _decode(data if isinstance(data, str) else data.decode())


def digest(data: bytes) -> bytes:
    """16 bytes that differ when `data` differs (BLAKE2b)."""
    return blake2b(data, digest_size=16).digest()
