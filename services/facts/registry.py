"""The registry as a library: one for the process, in any phase, inside an application or without one.

Facts come back as copies: what is changed in one is stored by `update_fact`. Where nothing says that there is a
database, nothing is opened, and the facts are in this process's memory.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import outlive
from outlive.errors import KeyTaken
from outlive.phases.flags import pin
from outlive.postgres import embedded
from outlive.postgres.address import Address
from services.facts import defaults, reports
from services.facts.judging import ACCEPTED, REJECTED, judged
from services.facts.records import Fact, ValidationResult
from services.facts.stores import facts, results, service
from services.farm.common import clock


def taken(fact_id: str) -> str:
    """What is said of an id that exists."""
    return f"Fact with ID '{fact_id}' already exists"


class FactsRegistry:
    """All facts, in the order in which they were registered. Every call gives the same object."""

    _instance: ClassVar[FactsRegistry | None] = None
    _one_at_a_time: ClassVar[threading.RLock] = threading.RLock()

    def __new__(cls) -> Self:
        with cls._one_at_a_time:
            if cls._instance is None:
                cls._instance = super().__new__(cls)
        return cls._instance  # type: ignore[return-value]

    @classmethod
    def reset(cls) -> None:
        """The next registry is another object, without facts and results."""
        registry = cls()
        registry.clear()
        registry._clear(results)
        cls._instance = None

    # -- facts -------------------------------------------------------------------------------------------------

    def register_fact(self, fact: Fact) -> None:
        """Adds a fact. Raises ValueError if its id exists."""
        try:
            with self._writing():
                if self.get_fact(fact.id) is not None:
                    raise ValueError(taken(fact.id))
                self._put(facts, fact, insert=True)
        except KeyTaken:
            raise ValueError(taken(fact.id)) from None

    def get_fact(self, fact_id: str) -> Fact | None:
        """The fact of an id, or None."""
        self._ready()
        fact: Fact | None = facts.repository.get(fact_id).result()
        return fact

    def get_all_facts(self) -> list[Fact]:
        """All facts."""
        return self._find()

    def get_facts_by_category(self, category: str) -> list[Fact]:
        """The facts of a category."""
        return self._find(category=category)

    def get_facts_by_tag(self, tag: str) -> list[Fact]:
        """The facts with a tag."""
        return self._find(tags__has=tag)

    def get_verified_facts(self) -> list[Fact]:
        """The facts that are verified."""
        return self._find(verified=True)

    def update_fact(self, fact_id: str, updated_fact: Fact) -> bool:
        """Puts another fact in the place of this id, which stays; False if there is none."""
        with self._writing():
            if self.get_fact(fact_id) is None:
                return False
            fresh = copy.copy(updated_fact)
            fresh.id, fresh.updated_at = fact_id, clock.now()
            self._put(facts, fresh)
            return True

    def delete_fact(self, fact_id: str) -> bool:
        """Removes a fact; False if there is none. What was found about it stays."""
        with self._writing() as plain:
            if plain:
                return facts.pop(fact_id, None) is not None
            removed: bool = facts.repository.delete(fact_id).result()
            return removed

    def count(self) -> int:
        """How many facts there are."""
        self._ready()
        total: int = facts.repository.count().result()
        return total

    def clear(self) -> None:
        """Removes all facts."""
        self._clear(facts)

    def get_coherence_report(self) -> dict[str, Any]:
        """How many facts there are, verified and by category."""
        self._ready()
        categories = facts.repository.count(by="category").result()
        verified = facts.repository.count(verified=True).result()
        return reports.coherence(sum(categories.values()), verified, categories)

    def add_default_facts(self) -> int:
        """Adds those of the four default facts that are absent; how many."""
        absent = [fact for fact in defaults.facts() if self.get_fact(fact.id) is None]
        for fact in absent:
            self.register_fact(fact)
        return len(absent)

    # -- what is thought of them -------------------------------------------------------------------------------

    def validate_fact(self, fact: Fact) -> ValidationResult:
        """What is found about a fact, registered or not; kept as the latest result of its id."""
        result = judged(fact)
        with self._writing() as plain:
            self._put(results, result)
            judgement = {"validation_status": result.status, "validation_score": result.confidence}
            if not plain:
                facts.repository.patch(fact.id, **judgement).result()
            elif fact.id in facts:
                vars(facts[fact.id]).update(judgement)
        return result

    def register_and_validate(self, fact: Fact) -> dict[str, Any]:
        """Registers a fact unless too little speaks for it; `success`, and `error` where it was not registered."""
        result = self.validate_fact(fact)
        error = REJECTED if result.confidence < ACCEPTED else None
        if error is None:
            try:
                self.register_fact(with_judgement(fact, result))
            except ValueError as refused:
                error = str(refused)
        return outcome(fact.id, result, error)

    def get_result(self, fact_id: str) -> ValidationResult | None:
        """The latest result of an id, or None."""
        self._ready()
        result: ValidationResult | None = results.repository.get(fact_id).result()
        return result

    def get_validation_summary(self) -> dict[str, Any]:
        """How many results there are of each status, and their average confidence."""
        self._ready()
        statuses = results.repository.count(by="status").result()
        return reports.summary(statuses, results.repository.avg("confidence").result())

    # -- where they are ----------------------------------------------------------------------------------------

    def _find(self, **filters: Any) -> list[Fact]:
        self._ready()
        found: list[Fact] = facts.repository.find(**filters).result()
        return found

    def _put(self, store: Any, record: Any, *, insert: bool = False) -> None:
        if unopened():
            store[record.id] = copy.deepcopy(record)
        elif insert:
            store.repository.insert(record).result()
        else:
            store.repository.put(record).result()

    def _clear(self, store: Any) -> None:
        with self._writing() as plain:
            if plain:
                store.clear()
            else:
                store.repository.bulk_delete(store.repository.keys().result()).result()

    def _ready(self) -> None:
        if service.state == "closed" and not unopened():
            service.start()

    @contextmanager
    def _writing(self) -> Iterator[bool]:
        """The block's writes are one; True where they are in this process's memory alone."""
        if unopened():
            with self._one_at_a_time:
                yield True
        else:
            with outlive.unit(service=service):
                yield False


def unopened() -> bool:
    """Whether nothing is open, and nothing has to be: no database is known, or the environment wants memory alone."""
    if service.state != "closed":
        return False
    pins = [pin(service.environment, name) for name in service.stores]
    if all(found is not None and found[1] == "legacy" for found in pins):
        return True
    if any(found is not None and found[1] != "legacy" for found in pins):
        return False
    settings = outlive.Settings.from_env(os.environ)
    return Address.from_settings(settings) is None and embedded.running(settings.home) is None


def with_judgement(fact: Fact, result: ValidationResult) -> Fact:
    """A copy of the fact that knows what was found about it."""
    fresh = copy.copy(fact)
    fresh.validation_status, fresh.validation_score = result.status, result.confidence
    return fresh


def outcome(fact_id: str, result: ValidationResult, error: str | None) -> dict[str, Any]:
    """The answer of register-and-validate; `error` is None where the fact was registered."""
    return {"success": error is None, "fact_id": fact_id, "error": error, "validation": result.to_dict()}
