"""docs/services.md says what stands under services/."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from services.serve_all import SERVICES
from tools import persistence_lines

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")
# Two names of one implementation.
HELD_BY = {"vegetation": "vra", "satellite": "vra"}


def systems() -> Iterator[tuple[str, list[str]]]:
    """Module and cells of each row of the page's first table."""
    for line in PAGE.splitlines():
        if found := re.search(r"^\|.*`python -m services\.([a-z_.]+)`", line):
            yield found[1].rpartition(".")[2], [cell.strip() for cell in line.strip("|").split(" | ")]


def tables(name: str) -> set[str]:
    """The tables that a service's models name."""
    folder = HELD_BY.get(name, name)
    [models] = [*(ROOT / "services").glob(f"{folder}/models.py"), *(ROOT / "services").glob(f"farm/{folder}/models.py")]
    tree = ast.parse(models.read_text(encoding="utf-8"))
    return {
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__tablename__"
    }


def test_every_service_has_its_row() -> None:
    """One row for each service that starts: name, command and port, its tables and no others, endpoints, its tests."""
    rows = dict(systems())
    assert set(rows) == set(SERVICES)
    for name, (system, start, held, endpoints, proof) in rows.items():
        module, port = SERVICES[name]
        assert start.startswith(f"`python -m {module}`, "), system
        assert str(port) in start, system
        assert set(re.findall(r"`(\w+)`", held)) == tables(name), system
        assert endpoints, system
        assert re.findall(r"\]\(\.\./tests/", proof), system


def test_every_contract_has_its_system() -> None:
    """As many systems as OpenAPI documents: no contract is without a service."""
    assert len(list((ROOT / "tests" / "contracts" / "openapi").glob("*.json"))) == len(dict(systems()))


def test_the_lines_are_what_the_tool_prints() -> None:
    """The page shows the tool's output, and that has a row for every folder of a service."""
    shown = re.search(r"<!-- lines -->\n(.*)\n<!-- /lines -->", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1] == persistence_lines.printed(), "run: python tools/persistence_lines.py --write"
    folders = {each.parent.name for each in (ROOT / "services").glob("**/__main__.py")} - {"before", "demo"}
    assert folders | {"vra"} <= {row.name for row in persistence_lines.rows()}
