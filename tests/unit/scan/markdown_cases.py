"""Scanner cases written as Markdown: prose, Python blocks, the expected findings as comments on the lines.

A `## heading` opens a case; each fence with `path=` is a file of it. Comments and bullet lines say what must be found:

    tasks = {}  # finding: store tasks dict[str, Task] record=Task tenant=tenant_id bounded=1000 in_place
    maybe = {}  # maybe: store maybe
    - skipped: broken.py
    - finding: store tasks notebook.ipynb

The first word is the class, the second the symbol (`a|b` accepts either), an optional third the container (its head
without brackets is enough). `key=value` words are compared with the finding's field of that name, lists by inclusion; a
lone word is a flag that must be true, `not:flag` one that must be false. `maybe` allows a store without asking for it.
A store that no comment names fails the case; other classes are compared only where a comment names them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(?P<kind>\w*)\s*(?P<info>.*)$")
_COMMENT = re.compile(r"#\s*(?P<must>finding|maybe):\s*(?P<text>.*?)\s*$")
_BULLET = re.compile(r"^- (?P<must>finding|maybe|skipped): (?P<text>.*?)\s*$")


@dataclass(frozen=True)
class Expected:
    """One finding that must, or may, be there; `line` 0 is any line."""

    path: str
    line: int
    cls: str
    symbols: tuple[str, ...]
    container: str = ""
    values: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    needed: bool = True


@dataclass(frozen=True)
class Case:
    """A small source tree and what a scan of it must report."""

    name: str
    files: dict[str, bytes]
    expected: tuple[Expected, ...]
    skipped: tuple[str, ...]

    def write(self, root: Path) -> None:
        """Put the files below `root`."""
        for name, content in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def cases(folder: Path) -> Iterator[Case]:
    """All cases of a folder's Markdown files, in order."""
    for path in sorted(folder.glob("*.md")):
        yield from _cases(path)


def _cases(path: Path) -> Iterator[Case]:
    title, body = "", []
    for line in [*path.read_text(encoding="utf-8").splitlines(), "## end"]:
        if line.startswith("## "):
            if title:
                yield _case(f"{path.stem}: {title}", body)
            title, body = line[3:].strip(), []
        else:
            body.append(line)


def _case(name: str, body: list[str]) -> Case:
    files: dict[str, bytes] = {}
    expected: list[Expected] = []
    skipped: list[str] = []
    block: list[str] | None = None
    path, encoding = "app.py", "utf-8"
    for line in body:
        fence = _FENCE.match(line)
        if fence and block is None:
            info = dict(word.split("=", 1) for word in fence["info"].split() if "=" in word)
            path, encoding, block = info.get("path", "app.py"), info.get("encoding", "utf-8"), []
        elif fence and block is not None:
            files[path] = ("\n".join(block) + "\n").encode(encoding)
            block = None
        elif block is not None:
            block.append(line)
            if comment := _COMMENT.search(line):
                expected.append(_expected(path, len(block), comment))
        elif bullet := _BULLET.match(line):
            if bullet["must"] == "skipped":
                skipped.append(bullet["text"])
            else:
                words, _, where = bullet["text"].rpartition(" ")
                expected.append(_parsed(where, 0, words, needed=bullet["must"] == "finding"))
    assert block is None, f"{name}: a block is not closed"
    assert files, f"{name}: no file"
    return Case(name, files, tuple(expected), tuple(skipped))


def _expected(path: str, line: int, comment: re.Match[str]) -> Expected:
    # what follows the closing quote of a notebook's cell line is JSON, not ours
    notebook = path.endswith(".ipynb")
    text = comment["text"].split("\\n")[0].rstrip('",') if notebook else comment["text"]
    return _parsed(path, 0 if notebook else line, text, needed=comment["must"] == "finding")


def _parsed(path: str, line: int, text: str, *, needed: bool) -> Expected:
    words = shlex.split(_joined(text))
    cls, symbols, *rest = words
    container = rest.pop(0) if rest and _is_container(rest[0]) else ""
    values = dict(word.split("=", 1) for word in rest if "=" in word)
    flags = tuple(word for word in rest if "=" not in word)
    return Expected(path, line, cls, tuple(symbols.split("|")), container, values, flags, needed)


def _joined(text: str) -> str:
    """The text with no blanks inside brackets, so that `dict[str, int]` is one word."""
    while (closer := re.sub(r"(\[[^\]]*), ", r"\1,", text)) != text:
        text = closer
    return text


FLAGS = ("in_place", "rebound", "iterated_while_mutated", "counter", "duplicates", "unbounded", "bounded", "written")


def _is_container(word: str) -> bool:
    return "=" not in word and not word.startswith("not:") and word not in FLAGS
