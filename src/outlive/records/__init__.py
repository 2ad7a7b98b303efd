"""What a record is: record types, canonical documents, keys as text, versions."""

from outlive.records.keys import key_name, key_text, parse_key
from outlive.records.types import FieldType, Kind, RecordType
from outlive.records.versions import VersionClock
from outlive.records.wire import MISSING, Document, Json, Missing, ascii_text, canonical, canonical_text, digest, parse

__all__ = [
    "MISSING",
    "Document",
    "FieldType",
    "Json",
    "Kind",
    "Missing",
    "RecordType",
    "VersionClock",
    "ascii_text",
    "canonical",
    "canonical_text",
    "digest",
    "key_name",
    "key_text",
    "parse",
    "parse_key",
]
