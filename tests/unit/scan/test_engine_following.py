"""How the scan follows names across files: modules above the root, copies of one service, helpers of files."""

from __future__ import annotations

from pathlib import Path

from outlive.scan.catalogue import Finding
from outlive.scan.engine import scan
from outlive.scan.extract import summarise
from outlive.scan.file_access import accesses
from outlive.scan.resolve import Resolver
from outlive.scan.slots import Sources
from outlive.scan.summary import Summary

ROOT = Path(__file__).resolve().parents[3]


def found(root: Path, **files: str) -> dict[str, Finding]:
    """Stores by symbol of files that are given by name, `__` for `/`."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {each.symbol: each for each in scan([root]).stores()}


SERVICE = """
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()

class Plan(BaseModel):
    plan_id: str
    price: float

plans: dict[str, Plan] = {}

@app.post("/plans")
def add(plan: Plan):
    plans[plan.plan_id] = plan

@app.get("/plans")
def show():
    return sorted(plans.values(), key=lambda plan: plan.price, reverse=True)

@app.delete("/plans/{plan_id}")
def drop(plan_id: str):
    del plans[plan_id]

def unused():
    pass
"""


def test_the_first_version_of_the_home_budget() -> None:
    """Its one list, saved as a file on each change, is found; nothing else is."""
    stores = scan([ROOT / "services" / "home_budget" / "before"]).stores()
    assert [(each.path, each.symbol) for each in stores] == [("collection.py", "collection.rows")]
    assert {each.entry.kind for each in stores[0].writers if each.entry} == {"http"}


def test_a_service_that_was_copied_is_reported_once(tmp_path: Path) -> None:
    """The same code in two services gives one store with both places."""
    stores = found(tmp_path, one__main=SERVICE, two__main=SERVICE)
    assert stores["plans"].service == "one"
    assert [(each.path, each.service) for each in stores["plans"].duplicates] == [("two/main.py", "two")]


def test_a_store_is_described(tmp_path: Path) -> None:
    """Record, fields, key, money, sort order and doors are told."""
    store = found(tmp_path, main=SERVICE)["plans"]
    assert (store.record, store.key, store.money) == ("Plan", "str", ("price",))
    assert [each.name for each in store.fields] == ["plan_id", "price"]
    assert [(each.field, each.operator) for each in store.sorts] == [("price", "desc")]
    assert [each.entry.name for each in store.writers if each.entry] == ["POST /plans", "DELETE /plans/{plan_id}"]


def test_a_parameter_leads_back_to_the_container(tmp_path: Path) -> None:
    """A helper of a helper that changes what it is given changes the caller's container."""
    stores = found(
        tmp_path,
        main="from flask import Flask\nfrom deep import outer\napp = Flask(__name__)\nrows = []\n\n"
        "@app.post('/r')\ndef add():\n    outer(rows, 1)\n",
        deep="def outer(rows, value):\n    inner(rows, value)\n\ndef inner(items, value):\n    items.append(value)\n",
    )
    assert [each.path for each in stores["rows"].writers] == ["deep.py"]


def test_names_in_a_circle_end(tmp_path: Path) -> None:
    """Modules that import each other, and aliases of themselves, are no endless walk."""
    assert not found(tmp_path, a="from b import x\ny = x\n", b="from a import y\nx = y\n")


def test_helpers_that_pass_a_file_on_are_followed_once(tmp_path: Path) -> None:
    """Of a helper that is called hundreds of times from a helper that is called hundreds of times, each counts once."""
    many = 300
    (tmp_path / "files.py").write_text(
        "import json\n"
        "def save(path, rows):\n    with open(path, 'w') as file:\n        json.dump(rows, file)\n"
        "def load(path):\n    with open(path) as file:\n        return json.load(file)\n"
        "def step(path, rows):\n" + "    save(path, rows)\n" * many,
        encoding="utf-8",
    )
    (tmp_path / "run.py").write_text(
        "from files import load, step\nrows = load('rows.json')\ndef run():\n" + "    step('rows.json', rows)\n" * many,
        encoding="utf-8",
    )
    read = {name: summarise(name, (tmp_path / name).read_bytes()) for name in ("files.py", "run.py")}
    files = {name: each for name, each in read.items() if isinstance(each, Summary)}
    folders = dict.fromkeys(files, ".")
    met = list(accesses(Sources(files, Resolver(files, {}), folders)))
    assert len(met) <= 2 * many
    assert {each.symbol for each in met} == {"rows.json"}


def test_a_container_given_as_a_default_is_followed(tmp_path: Path) -> None:
    """What a function changes through a parameter whose default is a module's list, it changes in that list."""
    text = """
from fastapi import FastAPI
app = FastAPI()
ORDERS = []

@app.post("/orders")
def create(order: dict):
    keep(order)

def keep(order, kept=ORDERS):
    kept.append(order)
"""
    (tmp_path / "app.py").write_text(text)
    (found,) = scan([tmp_path]).stores()
    assert [(each.function, each.how) for each in found.writers] == [("keep", "append")]
