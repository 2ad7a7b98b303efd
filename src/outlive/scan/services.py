"""Which service a file belongs to: the nearest folder upwards that can be deployed by itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MARKS = (
    "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Dockerfile", "Pipfile", "manage.py", "package.json",
    "docker-compose.yml", "Procfile", "environment.yml",
)  # fmt: skip
MAINS = ("main.py", "app.py", "bot.py", "server.py", "__main__.py", "wsgi.py", "asgi.py")
INSIDE = frozenset({"src", "app", "lib", "source", "python"})


def services(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Each file's service as a folder relative to the root, `.` for the root itself."""
    every = list(paths)
    present = set(every)
    marked: dict[str, str | None] = {}
    found = {}
    for path in every:
        folder = path.rpartition("/")[0]
        found[path] = _service(root, folder, present, marked)
    return found


def _service(root: Path, folder: str, present: set[str], marked: dict[str, str | None]) -> str:
    here, fallback = folder, ""
    while True:
        if here not in marked:
            marked[here] = _mark(root, here, present)
        mark = marked[here]
        if mark == "strong":
            return here or "."
        if mark == "weak":
            fallback = _above_src(here)
        if not here:
            return fallback or "."
        here = here.rpartition("/")[0]


def _mark(root: Path, folder: str, present: set[str]) -> str | None:
    base = root / folder if folder else root
    if any((base / each).is_file() for each in MARKS):
        return "strong"
    if any((f"{folder}/{each}" if folder else each) in present for each in MAINS):
        return "weak"
    return None


def _above_src(folder: str) -> str:
    while folder.rpartition("/")[2] in INSIDE:
        folder = folder.rpartition("/")[0]
    return folder or "."


def service_names(folders: Iterable[str], root: str) -> dict[str, str]:
    """Each service folder's name: its last part, its path where two have the same; the root is called by its own."""
    every = sorted(set(folders) | {"."})
    last = [each.rpartition("/")[2] for each in every]
    return {
        each: root if each == "." else name if last.count(name) == 1 else each
        for each, name in zip(every, last, strict=True)
    }
