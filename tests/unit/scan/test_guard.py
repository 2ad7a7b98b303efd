"""The baseline, and what changed since a revision."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from outlive.errors import BadConfig, BadRevision
from outlive.scan import baseline, changed
from outlive.scan.catalogue import Site
from tests.unit.scan.farm import finding, guide


def git(folder: Path, *arguments: str) -> None:
    """Runs git in `folder` with settings that no machine's own can change."""
    own = (
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "core.hooksPath=/dev/null",
    )
    subprocess.run(["git", *own, "-C", str(folder), *arguments], check=True, capture_output=True)


def commit(folder: Path, **files: str) -> None:
    """Writes files (`__` stands for `/`, `.py` is added) and commits everything."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    git(tmp_path, "init", "-q")
    commit(tmp_path, a="one\ntwo\nthree\n", gone="x = {}\n", src__old="a = 1\nb = 2\nc = 3\nd = 4\n")
    return tmp_path


def test_a_baseline_excuses_what_it_names(tmp_path: Path) -> None:
    """What was written is known again wherever its lines went; another store is new; a missing one is gone."""
    stores = guide().stores()
    file = tmp_path / baseline.FILE
    assert baseline.write(file, stores) == len(stores)
    known = baseline.read(file)
    assert baseline.compare(stores, known) == baseline.Comparison((), (), len(stores))
    moved = finding("task-service", 999, "tasks_db", "dict[str, Task]")
    new = finding("task-service", 5, "notes", "list")
    compared = baseline.compare([moved, new], known)
    assert (compared.new, compared.known, len(compared.gone)) == ((new,), 1, len(stores) - 1)


def test_two_of_one_name_need_two_entries(tmp_path: Path) -> None:
    """One entry excuses one store, so a second of the same name in the same file is new."""
    store = finding("s", 1, "make.<cache>", "dict")
    file = tmp_path / "b.json"
    baseline.write(file, [store])
    again = finding("s", 9, "make.<cache>", "dict")
    assert baseline.compare([store, again], baseline.read(file)).new == (again,)


def test_a_baseline_is_easy_to_merge(tmp_path: Path) -> None:
    """The same stores give the same bytes in any order, one line a store; none gives a valid file too."""
    stores = guide().stores()
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    baseline.write(one, stores)
    baseline.write(two, reversed(stores))
    assert one.read_bytes() == two.read_bytes()
    assert sum('"symbol"' in line for line in one.read_text("utf-8").splitlines()) == len(stores)
    baseline.write(one, [])
    assert (baseline.read(one), baseline.read(tmp_path / "none.json")) == ([], [])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "outlive.baseline/1"}', "\x00", "[" * 100_000])
def test_a_broken_baseline_is_no_excuse(tmp_path: Path, text: str) -> None:
    """A file that is no baseline is an error, never an empty one."""
    file = tmp_path / "b.json"
    file.write_text(text)
    with pytest.raises(BadConfig, match=r"b\.json"):
        baseline.read(file)
    file.write_text(json.dumps({"schema": baseline.SCHEMA, "stores": [{"path": "a.py"}]}))
    with pytest.raises(BadConfig, match="service, path and symbol"):
        baseline.read(file)


def test_a_baseline_that_cannot_be_written(tmp_path: Path) -> None:
    """A place that takes no file is named."""
    with pytest.raises(BadConfig, match="cannot be written"):
        baseline.write(tmp_path / "no" / "b.json", [])


def test_changed_lines_are_found(repository: Path) -> None:
    """Commits, the index, the work tree, renames and files that git does not track all count; removals do not."""
    commit(repository, a="one\nTWO\nthree\nfour\nfive\n", b="x\n")
    git(repository, "mv", "src/old.py", "src/new name.py")
    (repository / "src" / "new name.py").write_text("a = 1\nb = 2\nc = 3\nd = 5\n")
    (repository / "gone.py").unlink()
    (repository / "untracked é.py").write_text("x\n")
    lines = changed.since(repository, "HEAD~1")
    assert lines == {
        "a.py": [range(2, 3), range(4, 6)],
        "b.py": [range(1, 2)],
        "src/new name.py": [range(4, 5)],
        "untracked é.py": [changed.EVERY_LINE],
    }


def test_paths_are_those_of_the_scanned_folder(repository: Path) -> None:
    """In a folder of the repository, paths are relative to it, and what is outside does not count."""
    commit(repository, a="new\n", src__old="a = 9\nb = 2\nc = 3\nd = 4\n")
    assert changed.since(repository / "src", "HEAD~1") == {"old.py": [range(1, 2)]}
    assert changed.since(repository / "src" / "old.py", "HEAD~1") == {"old.py": [range(1, 2)]}


def test_lines_that_look_like_headers_are_content() -> None:
    """Added text that reads like a diff's own header names no file."""
    diff = b"+++ b/a.py\n@@ -0,0 +1,3 @@\n+++ b/evil.py\n+@@ -1 +1 @@\n+x\n@@ -9 +12 @@\n-a\n+b\n"
    assert list(changed.parse(diff)) == [("a.py", range(1, 4)), ("a.py", range(12, 13))]
    quoted = b'+++ "b/a\\tb\\303\\251.py"\n@@ -0,0 +1 @@\n+x\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n'
    assert list(changed.parse(quoted)) == [("a\tbé.py", range(1, 2))]


def test_a_store_is_touched_by_its_declaration_or_its_writers() -> None:
    """A changed line inside the declaration, or at a place that writes, brings the store up; a neighbour's does not."""
    here = finding("s", 5, "tasks", "dict", path="a.py", end_line=7, writers=(Site("b.py", 40, "put", "set item"),))
    for lines, hit in (
        ({"a.py": [range(7, 8)]}, True),
        ({"a.py": [range(8, 40)]}, False),
        ({"b.py": [range(40, 41)]}, True),
        ({"b.py": [range(1, 40)]}, False),
        ({}, False),
    ):
        assert bool(list(changed.touched([here], lines))) is hit


def test_a_bad_revision_is_named(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No such revision, an option in its place, or no repository at all: an error that says which."""
    for revision in ("nowhere", "--output=x", ""):
        with pytest.raises(BadRevision):
            changed.since(repository, revision)
    with pytest.raises(BadRevision, match="not a git repository"):
        changed.since(tmp_path_factory.mktemp("plain"), "HEAD")


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git is told so."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadRevision, match="git is not installed"):
        changed.since(repository, "HEAD")
