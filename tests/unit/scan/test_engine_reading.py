"""What the scan does with files that it cannot, or should not, read; and that it never runs any of them."""

from __future__ import annotations

import json
from pathlib import Path

from outlive.scan.config import Override, ScanConfig
from outlive.scan.engine import scan

APP = """
from fastapi import FastAPI
app = FastAPI()
tasks = {}

@app.post("/tasks")
def create(task: dict):
    tasks[task["id"]] = task
"""


def put(root: Path, name: str, text: str | bytes) -> Path:
    """A file below `root`."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_nothing_is_imported_or_executed(tmp_path: Path) -> None:
    """Code with effects at import leaves no trace of them."""
    mark = tmp_path / "ran"
    put(tmp_path, "app.py", f"open({str(mark)!r}, 'w')\nrows = []\n")
    scan([tmp_path])
    assert not mark.exists()


def test_what_is_not_python_3_is_skipped_with_its_reason(tmp_path: Path) -> None:
    """A syntax error, Python 2, null bytes and an unknown encoding are listed, and the rest is read."""
    put(tmp_path, "app.py", APP)
    put(tmp_path, "broken.py", "def f(:\n")
    put(tmp_path, "old.py", 'print "hello"\n')
    put(tmp_path, "zeros.py", b"a = 1\0")
    put(tmp_path, "cookie.py", b"# -*- coding: no-such -*-\n")
    found = scan([tmp_path])
    assert {each.path for each in found.skipped} == {"broken.py", "old.py", "zeros.py", "cookie.py"}
    assert {each.path: each.reason for each in found.skipped}["old.py"] == "Python 2"
    assert [each.symbol for each in found.stores()] == ["tasks"]


def test_deep_nesting_is_no_traceback(tmp_path: Path) -> None:
    """An expression nested beyond the parser's limit is skipped."""
    put(tmp_path, "deep.py", "x = " + "[" * 5000 + "]" * 5000)
    assert [each.path for each in scan([tmp_path]).skipped] == ["deep.py"]


def test_another_encoding_is_read_by_its_declaration(tmp_path: Path) -> None:
    """A file in Windows-1256 with its cookie is read."""
    put(tmp_path, "app.py", ("# coding: cp1256\n# سجل\n" + APP).encode("cp1256"))
    assert [each.symbol for each in scan([tmp_path]).stores()] == ["tasks"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """A folder that links to its parent is read once."""
    put(tmp_path, "pkg/app.py", APP)
    (tmp_path / "pkg" / "loop").symlink_to(tmp_path)
    assert scan([tmp_path]).files == 1


def test_folders_of_others_are_left_out_below_the_root(tmp_path: Path) -> None:
    """Virtual environments, node_modules and ignored folders are not read, unless they are the root themselves."""
    put(tmp_path, "app.py", APP)
    put(tmp_path, "site-packages/lib.py", APP)
    put(tmp_path, "env/pyvenv.cfg", "")
    put(tmp_path, "env/lib.py", APP)
    put(tmp_path, "build/lib.py", APP)
    put(tmp_path, ".gitignore", "build/\n")
    assert scan([tmp_path]).files == 1
    assert scan([tmp_path / "site-packages"]).files == 1


def test_cells_of_a_notebook_are_read(tmp_path: Path) -> None:
    """Code cells count, magics and Markdown do not."""
    code = {"cell_type": "code", "source": ["%pip x\n", "rows = []\n"]}
    put(tmp_path, "note.ipynb", json.dumps({"cells": [{"cell_type": "markdown", "source": "# x"}, code]}))
    found = scan([tmp_path])
    assert [(each.symbol, each.cls) for each in found.findings] == [("rows", "constant")]
    assert not found.skipped


def test_many_files_are_read_by_processes_alike(tmp_path: Path) -> None:
    """With so many files that processes share them, the findings are those of one by one."""
    for number in range(200):
        put(tmp_path, f"s{number}/app.py", APP)
    found = scan([tmp_path])
    assert len(found.stores()) == 200
    assert {each.line for each in found.stores()} == {4}


def test_a_comment_and_the_settings_decide(tmp_path: Path) -> None:
    """`# outlive: CLASS` on the line or above it, then an override of the settings, replace the class."""
    put(tmp_path, "app.py", APP.replace("tasks = {}", "tasks = {}  # outlive: cache"))
    put(tmp_path, "two.py", APP.replace("tasks = {}", "# outlive: registry\ntasks = {}"))
    put(tmp_path, "three.py", APP)
    config = ScanConfig(overrides=(Override(reason="we know", path="three.py", cls="other"),))
    found = {each.path: each.cls for each in scan([tmp_path], config=config).findings}
    assert found == {"app.py": "cache", "two.py": "registry", "three.py": "other"}
