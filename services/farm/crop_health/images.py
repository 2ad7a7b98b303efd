"""Uploaded pictures: which are taken, and where they lie.

With UPLOAD_DIR they are written there and served under /images; without it only their address is kept, for
whoever keeps the files. BASE_URL is what addresses begin with.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from fastapi import HTTPException, UploadFile

LIMIT_BYTES = 10 * 1024 * 1024
BATCH = 20
NO_IMAGE = "الملف المرفوع ليس صورة صالحة"
TOO_LARGE = "الصورة أكبر من 10 ميجابايت"
TOO_MANY = "لا تزيد الدفعة على 20 صورة"
ENDINGS = frozenset({"jpg", "jpeg", "png", "gif", "webp", "bmp"})
PATH = "/images"


async def read(image: UploadFile) -> bytes:
    """The bytes of an upload. Raises 400 for what says that it is no image, and over 10 MB."""
    if not is_image(image):
        raise HTTPException(400, NO_IMAGE)
    if (image.size or 0) > LIMIT_BYTES:
        raise HTTPException(400, TOO_LARGE)
    return await image.read()


async def read_batch(images: list[UploadFile]) -> list[tuple[str | None, bytes]]:
    """(name, bytes) of each. Raises 400 for more than 20, and for one that could not be sent alone."""
    if len(images) > BATCH:
        raise HTTPException(400, TOO_MANY)
    return [(each.filename, await read(each)) for each in images]


def is_image(image: UploadFile) -> bool:
    """Whether an upload says that it is an image."""
    return (image.content_type or "").startswith("image/")


def folder() -> Path | None:
    """Where pictures are kept, None where they are not."""
    named = os.environ.get("UPLOAD_DIR")
    return Path(named) if named else None


def keep(diagnosis_id: str, filename: str | None, content: bytes) -> str:
    """Writes a picture where pictures are kept; its address. Of the client's name only a known ending is used."""
    ending = PurePath(filename or "").suffix.lower().removeprefix(".")
    name = f"{diagnosis_id}.{ending if ending in ENDINGS else 'jpg'}"
    at = folder()
    if at is not None:
        at.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(content)
    return f"{os.environ.get('BASE_URL') or 'http://localhost:8095'}{PATH}/{name}"
