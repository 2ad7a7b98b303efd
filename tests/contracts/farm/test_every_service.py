"""What holds of every service: generated requests get valid answers, migrations go up and down, nothing is left out.

`OUTLIVE_EXAMPLES` is how many requests each operation gets in each form (4; more take longer and find more).
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import schemathesis
from alembic import command as alembic_commands
from alembic.config import Config
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from outlive.postgres.address import Address
from tests.contracts.farm.catalogue import DOCUMENTS, SERVICES, Known
from tests.contracts.farm.conftest import PHASES, open_service

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = int(os.environ.get("OUTLIVE_EXAMPLES", "4"))
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [checks.not_a_server_error, checks.response_schema_conformance, checks.content_type_conformance]
IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[a-z]+_[0-9a-f]{8,12}\b|EQ_[0-9A-F]{8}")
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
every_service = pytest.mark.parametrize("known", SERVICES, ids=lambda known: known.name)


@every_service
def test_generated_requests_get_valid_answers(
    known: Known, new_database: Callable[..., Address], tmp_path: Path
) -> None:
    """No request that the document allows, or nearly allows, is answered with 500 or with a body it does not know, and
    each phase gives the same answers, but for ids and times.

    One phase after the other: a running service goes by the environment, which has one phase at a time.
    """
    operations = schemathesis.openapi.from_dict(document_of(known)).get_all_operations()
    requests = [request for operation in operations for request in generated(operation.ok(), known)]
    said: dict[bool, list[Any]] = {}
    for form in PHASES:
        address = None if form.phase == "legacy" else new_database()
        environment = {"SEED_DEMO_DATA": "true", **known.environment}
        with open_service(known.package, form, address, tmp_path / form.name, environment) as opened:
            answers, names = [], dict[str, str]()
            for case, method, url, options in requests:
                answer = opened.http.request(method, url, **options)
                case.validate_response(answer, checks=CHECKS)
                answers.append((method, url, answer.status_code, comparable(answer, names)))
        refused = "'unholdable'" in str(answers)  # phases in which PostgreSQL decides are alike, and so are the others
        assert answers == said.setdefault(refused, answers), f"{form.name} answers differently"


def document_of(known: Known) -> dict[str, Any]:
    """The API's document; times in answers may come without a zone, as the services always gave them."""
    document: dict[str, Any] = json.loads((DOCUMENTS / f"{known.document}.openapi.json").read_text(encoding="utf-8"))
    asked = json.dumps([part.get("requestBody") for path in document["paths"].values() for part in path.values()])
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        if f'/{name}"' not in asked:
            document["components"]["schemas"][name] = without_formats(schema)
    return document


def without_formats(part: Any) -> Any:
    """The schema without the formats of times."""
    if isinstance(part, list):
        return [without_formats(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {name: without_formats(each) for name, each in part.items() if (name, each) != ("format", "date-time")}


def comparable(answer: httpx.Response, names: dict[str, str]) -> Any:
    """The answer's body with a name for each id, by the order in which they came, without times, and without what
    health says of the database."""
    text = TIMES.sub("<time>", answer.text)
    text = IDS.sub(lambda found: names.setdefault(found[0].lower(), f"<{len(names)}>"), text)
    try:
        body = json.loads(text)
    except ValueError:
        return text
    return {**body, "database": ""} if isinstance(body, dict) else body


def generated(operation: Any, known: Known) -> list[tuple[Any, str, str, dict[str, Any]]]:
    """(case, method, URL, what else is sent) of each request that is tried, always the same ones."""
    made = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in MODES)))
    def ask(case: Any) -> None:
        case.headers = {**(case.headers or {}), **known.headers}
        request = case.as_transport_kwargs(base_url="http://test")
        kept = ("params", "json", "data", "content", "headers", "files")
        options = {name: request[name] for name in kept if request.get(name) is not None}
        if isinstance(options.get("data"), bytes | str):
            options["content"] = options.pop("data")
        if "files" in options:
            options = in_one_piece(options)
        made.append((case, request["method"], request["url"], options))

    ask()
    return made


def in_one_piece(options: dict[str, Any]) -> dict[str, Any]:
    """The options with files as one body, which the checks can read; a file that is no bytes is its text."""
    named = options.pop("files")
    files = [(name, _file(given)) for name, given in (named.items() if isinstance(named, dict) else named)]
    form = httpx.Request("POST", "http://test", files=files, data=options.pop("data", None))
    headers = {**options.pop("headers", {}), "Content-Type": form.headers["Content-Type"]}
    return {**options, "content": form.read(), "headers": headers}


def _file(given: Any) -> Any:
    if isinstance(given, tuple):
        return (given[0], _file(given[1]), *given[2:])
    return given if isinstance(given, str | bytes) else str(given)


@every_service
def test_migrations_go_up_down_and_up_with_rows(
    known: Known, new_database: Callable[..., Address], tmp_path: Path
) -> None:
    """`check` finds nothing after `upgrade head`; `downgrade base` leaves nothing, rows or not; and up again."""
    address = new_database()
    alembic(known, address, "upgrade", "head")
    assert "No new upgrade operations detected" in alembic(known, address, "check")
    with open_service(known.package, PHASES[-1], address, tmp_path, {"SEED_DEMO_DATA": "true", **known.environment}):
        pass
    alembic(known, address, "downgrade", "base")
    with psycopg.connect(address.conninfo()) as conn:
        left = conn.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname !~ '_version'"
        ).fetchall()
        types = conn.execute(
            "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'"
        )
        assert (left, types.fetchall()) == ([], [])
    alembic(known, address, "upgrade", "head")


@every_service
def test_printed_migrations_build_the_same_tables(known: Known, new_database: Callable[..., Address]) -> None:
    """`upgrade head --sql` prints, without a database, what `check` then finds complete."""
    script = alembic(known, None, "upgrade", "head", sql=True)
    address = new_database()
    with psycopg.connect(address.conninfo(), autocommit=True) as conn:
        conn.execute(script.encode())
    assert "No new upgrade operations detected" in alembic(known, address, "check")


def alembic(known: Known, address: Address | None, command: str, *words: str, **options: Any) -> str:
    """What an Alembic command on the service's own revisions prints; it runs in this process, as its program does."""
    url = "postgresql://nobody@127.0.0.1:1/none" if address is None else address.libpq_url()
    printed = io.StringIO()
    config = Config(str(known.folder / "alembic.ini"), stdout=printed, output_buffer=printed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        getattr(alembic_commands, command)(config, *words, **options)
    return printed.getvalue()


def test_every_folder_is_in_the_catalogue() -> None:
    """A service that lies in the repository is tested."""
    names = {path.parent.name for path in (ROOT / "services").glob("*/*/api.py")}
    packages = {known.package.rpartition(".")[2] for known in SERVICES}
    assert names <= packages | {"home_budget"}
