"""JSON files: format, replacement, locks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlive.errors import FileHeld, FileMalformed
from outlive.stores import files
from outlive.stores.files import FileLock, Format, Sidecar

ROWS = st.lists(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
            max_leaves=4,
        ),
        max_size=3,
    ),
    max_size=4,
)
FORMATS = st.sampled_from(
    [Format(), Format(4, True, True), Format("\t"), Format(None), Format(None, separators=(",", ":")), Format(0)]
)


@given(ROWS, FORMATS)
def test_rendered_rows_make_the_text_of_the_whole_list(rows: list[Any], form: Format) -> None:
    """A file put together from rendered rows is byte for byte what `json.dumps` gives for the list."""
    whole = json.dumps(rows, indent=form.indent, ensure_ascii=form.ascii, separators=form.separators)
    whole += "\n" if form.newline else ""
    assert form.dump([form.render(row) for row in rows]) == whole.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('[\n  {\n    "a": 1\n  }\n]', Format(2)),
        ('[\n    {\n        "a": 1\n    }\n]\n', Format(4, newline=True)),
        ('[\n\t{\n\t\t"a": "\\u05d0"\n\t}\n]', Format("\t", ascii=True)),
        ('[{"a":1},{"b":2}]', Format(None, separators=(",", ":"))),
        ('[{"a": 1}, {"b": 2}]', Format(None)),
        ("[]", Format(2)),
    ],
)
def test_a_file_keeps_the_format_it_was_found_in(text: str, form: Format) -> None:
    """Indentation, escapes, separators and the final newline are read off the text."""
    assert files.format_of(text, Format()) == form


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    """Replacing changes content only."""
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(0o640)
    files.replace(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    """When the new content cannot be put in place the old file stands and no temporary file is left."""
    target = tmp_path / "folder"
    target.mkdir()
    (target / "inside").write_text("x")
    with pytest.raises(OSError, match="directory"):
        files.replace(target, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_lock_names_its_holder(tmp_path: Path) -> None:
    """A second holder is refused with the first one's pid, and may have it once it is released."""
    import os

    first, second = FileLock(tmp_path / "a.json"), FileLock(tmp_path / "a.json")
    first.acquire()
    first.acquire()
    with pytest.raises(FileHeld, match=str(os.getpid())):
        second.acquire()
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()
    second.release()


def test_a_sidecar_knows_both_states_of_a_write(tmp_path: Path) -> None:
    """Between sidecar and file a crash leaves a file that the sidecar still knows; a foreign one it does not."""
    path = tmp_path / "a.json"
    files.write_with_sidecar(path, b"one", 10, "dual_write")
    files.write_with_sidecar(path, b"two", 20, "dual_write")
    sidecar = Sidecar.read(path)
    assert sidecar is not None
    found = [sidecar.upto_of(files.digest(content)) for content in (b"two", b"one", b"other")]
    assert found == [20, 10, None]
    Sidecar.path_of(path).write_text("{")
    assert Sidecar.read(path) is None


def test_an_archive_is_named_by_date_and_checksum_and_trimmed(tmp_path: Path) -> None:
    """Entering `database` moves the file aside; what is older than 30 days goes."""
    import os

    path = tmp_path / "a.json"
    assert files.archive(path) is None
    path.write_bytes(b"[]")
    first = files.archive(path)
    assert first is not None
    assert first.read_bytes() == b"[]"
    assert files.digest(b"[]")[:16] in first.name
    os.utime(first, (0, 0))
    path.write_bytes(b"[1]")
    second = files.archive(path)
    assert files.archived(path) == second
    assert not first.exists()


def test_a_malformed_file_is_named(tmp_path: Path) -> None:
    """What is no JSON raises with the path, and the file is left as it is."""
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"a": \xff}]')
    with pytest.raises(FileMalformed, match=r"a\.json"):
        files.read_rows(path)
