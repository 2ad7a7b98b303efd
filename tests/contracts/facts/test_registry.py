"""The registry as a library: the first version's and ours, in memory, in each phase, inside and outside of a loop."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outlive.postgres.address import Address
from services.facts.records import Fact, ValidationStatus
from tests.contracts.farm.running import load

FORMS = ("before", "unopened", "legacy", "dual_write", "dual_read", "database")
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678)


@pytest.fixture(scope="module", params=FORMS)
def module(
    request: pytest.FixtureRequest,
    new_database: Callable[..., Address],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """The module of the registry in one form; `unopened`: no application, no database, nothing said."""
    form: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "OUTLIVE_PHASE"):
            patch.delenv(name, raising=False)
        patch.setenv("OUTLIVE_HOME", str(tmp_path_factory.mktemp("home")))
        if form == "before":
            yield load("services.facts", "before.registry")
            return
        if form != "unopened":
            patch.setenv("OUTLIVE_PHASE", form)
        if form.startswith("d"):
            patch.setenv("DATABASE_URL", new_database().libpq_url())
        loaded = load("services.facts", "registry")
        if form == "legacy":
            loaded.service.start()
        yield loaded
        assert (loaded.service.state == "closed") is (form == "unopened")
        loaded.service.close()


@pytest.fixture
def registry(module: Any) -> Any:
    """A registry that holds nothing."""
    module.FactsRegistry.reset()
    return module.FactsRegistry()


@pytest.fixture
def new(module: Any) -> Callable[..., Any]:
    """Makes facts of the class that the module's registry knows."""
    import sys

    known = sys.modules["services.facts.records"].Fact

    def make(fact_id: str = "f1", **fields: Any) -> Any:
        given = {"category": "c", "statement": "Rivers lead somewhere", "verified": True, "timestamp": MOMENT, **fields}
        return known(fact_id, tags=given.pop("tags", ["a", "b"]), **given)

    return make


def ids(found: list[Any]) -> list[str]:
    """The ids of facts."""
    return [fact.id for fact in found]


def test_there_is_one(module: Any, registry: Any) -> None:
    """Every call gives the same object, until it is reset."""
    assert module.FactsRegistry() is registry
    assert registry.count() == 0
    module.FactsRegistry.reset()
    assert module.FactsRegistry() is not registry


def test_a_fact_comes_back_as_it_was_given(registry: Any, new: Callable[..., Any]) -> None:
    """With its time, naive or aware, its tags and metadata; None where there is none of that id."""
    aware = dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    given = [
        new("a", metadata={"k": [1, 0.1, None, "ف"]}),
        new("b", timestamp=aware, verified=False),
        new("c", tags=[]),
    ]
    for fact in given:
        registry.register_fact(fact)
    assert [registry.get_fact(fact.id).to_dict() for fact in given] == [fact.to_dict() for fact in given]
    assert registry.get_fact("a") == given[0]
    assert registry.get_fact("nobody") is None
    assert (registry.count(), ids(registry.get_all_facts())) == (3, ["a", "b", "c"])


def test_an_id_is_given_once(registry: Any, new: Callable[..., Any]) -> None:
    """A second fact of an id is refused, and the first one stays."""
    registry.register_fact(new("f1", statement="first"))
    with pytest.raises(ValueError, match=r"^Fact with ID 'f1' already exists$"):
        registry.register_fact(new("f1", statement="second"))
    assert registry.get_fact("f1").statement == "first"


def test_of_many_threads_one_registers(registry: Any, new: Callable[..., Any]) -> None:
    """Threads that register one id at once: one succeeds, the others are refused."""
    refused: list[str] = []

    def register() -> None:
        try:
            registry.register_fact(new("f1"))
        except ValueError as known:
            refused.append(str(known))

    threads = [threading.Thread(target=register) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (registry.count(), len(refused)) == (1, 5)


def test_selections(registry: Any, new: Callable[..., Any]) -> None:
    """By category, tag and verified, in the order of registration."""
    for fact in (
        new("z"),
        new("b", category="d", tags=["b"]),
        new("a", verified=False, tags=[]),
        new("c", tags=["ab"]),
    ):
        registry.register_fact(fact)
    assert ids(registry.get_facts_by_category("c")) == ["z", "a", "c"]
    assert ids(registry.get_facts_by_tag("b")) == ["z", "b"]
    assert ids(registry.get_verified_facts()) == ["z", "b", "c"]
    assert registry.get_facts_by_category("e") == registry.get_facts_by_tag("") == []


def test_update_and_delete(registry: Any, new: Callable[..., Any]) -> None:
    """True where there was a fact, which keeps its place; False for an id that nobody has."""
    for fact_id in ("a", "b"):
        registry.register_fact(new(fact_id))
    assert registry.update_fact("a", new("a", statement="changed", verified=False, tags=[])) is True
    assert [fact.statement for fact in registry.get_all_facts()] == ["changed", "Rivers lead somewhere"]
    assert registry.update_fact("x", new("x")) is False
    assert (registry.delete_fact("a"), registry.delete_fact("a")) == (True, False)
    assert ids(registry.get_all_facts()) == ["b"]
    registry.clear()
    assert registry.count() == 0


def test_coherence_report(registry: Any, new: Callable[..., Any]) -> None:
    """Figures of no fact, and of four."""
    report = registry.get_coherence_report()
    assert report == {
        "total_facts": 0, "verified_facts": 0, "unverified_facts": 0, "verification_rate": 0.0,
        "category_breakdown": {}, "categories_count": 0,
    }  # fmt: skip
    for number, category in enumerate(("b", "a", "b", "c")):
        registry.register_fact(new(str(number), category=category, verified=number != 1))
    assert registry.get_coherence_report() == {
        "total_facts": 4, "verified_facts": 3, "unverified_facts": 1, "verification_rate": 75.0,
        "category_breakdown": {"b": 2, "a": 1, "c": 1}, "categories_count": 3,
    }  # fmt: skip


def test_default_facts(registry: Any, new: Callable[..., Any]) -> None:
    """Four verified facts, of which only those are added that are absent."""
    registry.register_fact(new("default_002", statement="mine"))
    assert (registry.add_default_facts(), registry.add_default_facts()) == (3, 0)
    found = {fact.id: fact for fact in registry.get_all_facts()}
    assert sorted(found) == ["default_001", "default_002", "default_003", "default_004"]
    assert found["default_002"].statement == "mine"
    third = found["default_003"]
    assert (third.category, third.statement) == ("testing", "TAAS provides comprehensive testing capabilities")
    assert (third.tags, third.verified) == (["testing", "TAAS", "quality"], True)


@pytest.mark.parametrize(
    ("fields", "confidence", "status", "findings"),
    [
        ({}, 1.0, "coherent", []),
        ({"statement": "abcd"}, 0.6, "suspicious", ["Statement too short (min 5 characters)"]),
        ({"category": "  "}, 0.7, "coherent", ["Category is missing or invalid"]),
        ({"tags": []}, 0.85, "coherent", ["No tags present - affects discoverability"]),
        ({"statement": "abcabc xyzxyz"}, 0.6, "suspicious", ["Repetitive token sequences suggest chaotic input"]),
        ({"statement": "abcabc"}, 1.0, "coherent", []),
        ({"metadata": {"external_claim": True}}, 0.9, "coherent", ["External claims require verifiable evidence"]),
        ({"metadata": {"external_claim": False}}, 1.0, "coherent", []),
        ({"statement": "It is wrong"}, 0.55, "suspicious", ["Deception detected: user_correction"]),
        ({"statement": "See https://a.b"}, 1.0, "coherent", ["Unverified claims require external validation"]),
        ({"statement": "The site is deployed"}, 1.0, "coherent", ["Unverified claims require external validation"]),
        (
            {"statement": "", "category": "", "tags": []}, 0.15, "noise",
            ["Statement too short (min 5 characters)", "Category is missing or invalid",
             "No tags present - affects discoverability"],
        ),
        (
            {"statement": "404", "category": "", "tags": [], "metadata": {"external_claim": 1}}, 0.03, "noise",
            ["Statement too short (min 5 characters)", "Category is missing or invalid",
             "No tags present - affects discoverability", "External claims require verifiable evidence",
             "Deception detected: user_correction"],
        ),
        (
            {"statement": "abcabc xyzxyz", "category": "", "tags": [], "metadata": {"external_claim": 1}},
            0.05, "noise",
            ["Category is missing or invalid", "No tags present - affects discoverability",
             "Repetitive token sequences suggest chaotic input", "External claims require verifiable evidence"],
        ),
    ],
)  # fmt: skip
def test_what_is_thought_of_a_fact(
    registry: Any, new: Callable[..., Any], fields: dict[str, Any], confidence: float, status: str, findings: list[str]
) -> None:
    """Each rule takes its part, a correction a share; the status follows, also for a fact that is not registered."""
    result = registry.validate_fact(new("f1", **fields))
    assert result.confidence == pytest.approx(confidence)
    assert (result.status, result.findings) == (status, findings)
    told = registry.get_result("f1").to_dict()
    assert told == result.to_dict()
    assert set(told) == {"fact_id", "status", "confidence", "findings", "metadata", "timestamp"}
    assert told["metadata"] == {"rules_checked": 4, "deception_checked": True}
    assert registry.count() == 0


def test_register_and_validate(registry: Any, new: Callable[..., Any]) -> None:
    """A bad fact is rejected and a known one refused; the latest result of each id is kept and summed up."""
    first = registry.register_and_validate(new("a"))
    assert (first["success"], first["fact_id"], first["error"]) == (True, "a", None)
    again = registry.register_and_validate(new("a", tags=[]))
    assert again == {
        "success": False, "fact_id": "a", "error": "Fact with ID 'a' already exists",
        "validation": registry.get_result("a").to_dict(),
    }  # fmt: skip
    assert again["validation"].items() >= {"status": "coherent", "confidence": 0.85}.items()
    told = registry.register_and_validate(new("b", statement="x", tags=[]))
    assert told["error"] == "Fact rejected due to low quality/coherence"
    assert told["validation"]["status"] == ValidationStatus.SUSPICIOUS
    assert ids(registry.get_all_facts()) == ["a"]
    assert registry.get_validation_summary() == {
        "total_validated": 2, "coherent": 1, "suspicious": 1, "noise": 0, "average_confidence": 0.65,
        "coherence_rate": 50.0,
    }  # fmt: skip
    for fact in registry.get_all_facts():
        registry.validate_fact(fact)
    assert registry.get_validation_summary()["average_confidence"] == 0.725
    type(registry).reset()
    assert type(registry)().get_validation_summary()["total_validated"] == 0


@pytest.mark.parametrize("fact_id", ["", "   ", None, 3])
def test_a_fact_needs_an_id(fact_id: Any) -> None:
    """A blank one is refused, and what is no text."""
    with pytest.raises(ValueError, match=r"^Fact ID cannot be empty$"):
        Fact(fact_id, "c", "s", True, MOMENT, [])


def test_facts_are_equal_by_id() -> None:
    """Whatever else they hold."""
    one, other = Fact("a", "c", "s", True, MOMENT, ["t"], {"k": 1}), Fact("a", "d", "x", False, MOMENT, [])
    assert one == other
    assert len({one, other, Fact("b", "c", "s")}) == 2
    assert one != "a"
    assert Fact("a", "c", "s", True, MOMENT, [], None).metadata == {}


def test_inside_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine may use a registry in memory although nobody opened anything, and nothing is opened by it."""
    for name in ("DATABASE_URL", "OUTLIVE_PHASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OUTLIVE_HOME", str(tmp_path))
    package = load("services", "facts")
    registry = package.FactsRegistry()

    async def use() -> int:
        registry.register_fact(package.Fact("a", "c", "s"))
        registry.validate_fact(registry.get_fact("a"))
        return int(registry.count())

    assert asyncio.run(use()) == 1
    assert list(tmp_path.iterdir()) == []


def test_facts_are_there_for_the_next_process(
    new_database: Callable[..., Address], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `database` a registry of another process finds what the first has registered."""
    monkeypatch.setenv("DATABASE_URL", new_database().libpq_url())
    monkeypatch.setenv("OUTLIVE_PHASE", "database")
    monkeypatch.setenv("OUTLIVE_HOME", str(tmp_path))
    for count in (1, 2):
        module = load("services.facts", "registry")
        registry = module.FactsRegistry()
        registry.register_fact(module.Fact(str(count), "c", "s"))
        assert registry.count() == count
        module.service.close()
