"""The lines that changed since a revision, as git tells them, and the findings that stand on them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from outlive.errors import BadRevision
from outlive.scan.catalogue import Finding

Lines = dict[str, list[range]]

_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([abfnrtv\"\\]|[0-7]{3})")
_PLAIN = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b'"': 34, b"\\": 92}
EVERY_LINE = range(1, 2**31)


def since(root: Path, revision: str) -> Lines:
    """Changed and added lines by path relative to `root`: committed, staged, unstaged, and files git does not track.

    Raises BadRevision: no git, no repository, no such revision.
    """
    folder = root if root.is_dir() else root.parent
    resolved = _git(folder, revision, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    flags = (
        "--unified=0",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--relative",
        "--src-prefix=a/",
        "--dst-prefix=b/",
    )
    diff = _git(folder, revision, "diff", *flags, "--find-renames", resolved.strip().decode(), "--")
    found: Lines = {}
    for path, lines in parse(diff):
        found.setdefault(path, []).append(lines)
    new = _git(folder, revision, "ls-files", "-z", "--others", "--exclude-standard")
    return found | {name.decode("utf-8", "surrogateescape"): [EVERY_LINE] for name in new.split(b"\0") if name}


def parse(diff: bytes) -> Iterator[tuple[str, range]]:
    """(path, lines) for each hunk of a unified diff without context that leaves lines behind."""
    path, lines = "", iter(diff.split(b"\n"))
    for line in lines:
        if line.startswith(b"+++ "):
            path = _path(line[4:])
        elif hunk := _HUNK.match(line):
            removed, first, added = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
            # what a hunk holds may look like a header, so its lines are passed by their number
            for _ in range(removed + added):
                next(lines, b"")
            if path and added:
                yield path, range(first, first + added)


def touched(findings: Iterable[Finding], lines: Lines) -> Iterator[Finding]:
    """The findings whose declaration, or a place that writes them, stands on changed lines."""
    for finding in findings:
        spans = [(finding.path, finding.line, max(finding.end_line, finding.line))]
        spans += [(site.path, site.line, site.line) for site in finding.writers]
        if any(_meets(lines.get(path, []), first, last) for path, first, last in spans):
            yield finding


def _meets(changed: list[range], first: int, last: int) -> bool:
    return any(each.start <= last and first < each.stop for each in changed)


def _path(name: bytes) -> str:
    """The path of a `+++` line; empty for a file that was removed."""
    name = name.rstrip(b"\t\r")
    if name.startswith(b'"'):
        name = _ESCAPE.sub(_unescaped, name[1:-1])
    return name[2:].decode("utf-8", "surrogateescape") if name.startswith(b"b/") else ""


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([_PLAIN[match[1]] if match[1] in _PLAIN else int(match[1], 8)])


def _git(folder: Path, revision: str, *arguments: str) -> bytes:
    command = ["git", "-c", "core.quotePath=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=os.environ | {"LC_ALL": "C"})
    except OSError as failure:
        raise BadRevision(revision=revision, reason="git is not installed") from failure
    if done.returncode:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split()) or "there is no such commit"
        raise BadRevision(revision=revision, reason=reason.removeprefix("fatal: "))
    return done.stdout
