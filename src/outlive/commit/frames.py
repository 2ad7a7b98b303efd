r"""The journal's bytes: how a frame and a segment's head are laid out, and how intact frames are found in damage.

    segment   head, frame, frame, ...
    head      "OLJ" | format version u8 | length u16 | crc u32 | JSON {"service", "token", "number", "previous"}
    frame     "\xf5OLF" | length u32 | sequence u64 | head crc u32 | crc u32 | payload

All numbers are little-endian. A frame's head crc covers the 16 bytes before it; its crc covers head and payload. Both
start from the segment's salt, so bytes of another segment, or a journal inside a payload, are never taken for frames.
Because a frame's head proves itself, a damaged payload costs exactly its own frame.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

FORMAT = 1
MAX_PAYLOAD = 2**32 - 1

_HEAD = struct.Struct("<3sBHI")
_FRAME = struct.Struct("<4sIQI")
_CRC = struct.Struct("<I")
_PLACE = struct.Struct("<4sIQ")
_SEGMENT_MAGIC = b"OLJ"
_FRAME_MAGIC = b"\xf5OLF"
FRAME_HEAD = _FRAME.size + _CRC.size


class Frame(NamedTuple):
    """An intact frame: its sequence and where its bytes lie."""

    seq: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """Offset of the byte after the frame."""
        return self.offset + FRAME_HEAD + self.length


class Hole(NamedTuple):
    """Bytes that are no frame. `cut` says that an unfinished write explains them: nothing was ever acknowledged."""

    offset: int
    end: int
    reason: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What a segment says of itself; `previous` is the last sequence that was durable when it began."""

    service: str
    token: str
    number: int
    previous: int

    @property
    def salt(self) -> int:
        """Start value of the checksums of the segment's frames."""
        return crc32(json.dumps([self.service, self.token, self.number]).encode())

    def encode(self) -> bytes:
        """The head's bytes."""
        text = json.dumps({name: getattr(self, name) for name in self.__slots__}).encode()
        return _HEAD.pack(_SEGMENT_MAGIC, FORMAT, len(text), crc32(text, FORMAT)) + text


def read_head(data: bytes) -> tuple[Head | None, int, int]:
    """(head, its end, format version) of a segment; head is None where the bytes hold none that proves itself."""
    if len(data) < _HEAD.size:
        return None, 0, FORMAT
    magic, version, length, crc = _HEAD.unpack_from(data)
    text = data[_HEAD.size : _HEAD.size + length]
    if magic != _SEGMENT_MAGIC or len(text) != length or crc32(text, version) != crc:
        return None, 0, FORMAT
    if version != FORMAT:
        return None, 0, version
    return Head(**json.loads(text)), _HEAD.size + length, version


def head_is_cut(data: bytes) -> bool:
    """Whether an unfinished write of a segment's head, and nothing else, explains `data`."""
    if len(data) < _HEAD.size:
        return _SEGMENT_MAGIC.startswith(data[: len(_SEGMENT_MAGIC)]) or not any(data)
    magic, _, length, _ = _HEAD.unpack_from(data)
    return (magic == _SEGMENT_MAGIC and len(data) < _HEAD.size + length) or not any(data)


def encode(seq: int, payload: bytes, salt: int) -> bytes:
    """One frame. seq >= 0 and below 2**64; the payload at most MAX_PAYLOAD bytes."""
    crc = crc32(_PLACE.pack(_FRAME_MAGIC, len(payload), seq), salt)
    head = _FRAME.pack(_FRAME_MAGIC, len(payload), seq, crc)
    return head + _CRC.pack(crc32(payload, crc32(head, salt))) + payload


def frame_at(data: bytes, offset: int, salt: int) -> tuple[Frame, bool] | None:
    """(frame, whether its payload is whole) at `offset`; None where no frame's head proves itself."""
    if len(data) - offset < FRAME_HEAD:
        return None
    magic, length, seq, head_crc = _FRAME.unpack_from(data, offset)
    if magic != _FRAME_MAGIC or crc32(data[offset : offset + _FRAME.size - 4], salt) != head_crc:
        return None
    frame = Frame(seq, offset, length)
    start = offset + FRAME_HEAD
    crc = crc32(data[start : frame.end], crc32(data[offset : offset + _FRAME.size], salt))
    return frame, frame.end <= len(data) and _CRC.unpack_from(data, start - 4)[0] == crc


def scan(data: bytes, offset: int, salt: int) -> Iterator[Frame | Hole]:
    """Frames and holes that cover `data` from `offset` to its end, in order."""
    while offset < len(data):
        found = frame_at(data, offset, salt)
        if found is None:
            item: Frame | Hole = _skip(data, offset, salt)
        elif found[1]:
            item = found[0]
        elif found[0].end > len(data):
            item = Hole(offset, len(data), f"frame {found[0].seq} is cut short", True)
        else:
            item = Hole(offset, found[0].end, f"frame {found[0].seq} has a wrong checksum", False)
        yield item
        offset = item.end


def _skip(data: bytes, offset: int, salt: int) -> Hole:
    end = data.find(_FRAME_MAGIC, offset + 1)
    while end >= 0 and frame_at(data, end, salt) is None:
        end = data.find(_FRAME_MAGIC, end + 1)
    if end >= 0:
        return Hole(offset, end, "no frame begins here", False)
    rest = data[offset:]
    cut = (len(rest) < FRAME_HEAD and _FRAME_MAGIC.startswith(rest[: len(_FRAME_MAGIC)])) or not any(rest)
    return Hole(offset, len(data), "a frame's head is cut short" if cut else "no frame begins here", cut)
