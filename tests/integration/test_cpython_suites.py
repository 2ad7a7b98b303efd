"""CPython's own tests for dict, list and set, run on the drop-ins in `legacy` and in `dual_write`.

Each test runs as one unit of work. In `dual_write` the unit then lands in a real PostgreSQL, and the tables of all
drop-ins that the test still holds must give back exactly what these hold, in order. What is left out stands in LEFT_OUT
with its reason; a name there that no longer exists fails.
"""

from __future__ import annotations

import collections
import copy
import pickle
import types
import unittest
from collections.abc import Iterator
from typing import Any

import pytest

from outlive.postgres.address import Address
from outlive.runtime.service import Service
from outlive.settings import Settings
from tests.conftest import _database
from tests.cpython import suites
from tests.cpython.pool import Factory, Pool, landable, shown, stored

PHASES = ("legacy", "dual_write")
EACH = {dict: 24, list: 24, set: 16}

COPY = "asserts the exact type of a copy; a copy of a drop-in is a plain dict, on purpose"
LIFETIME = "asserts when the object is freed; a drop-in lives as long as its store"
GC = "asserts whether the garbage collector of CPython tracks an exact dict"
HOSTILE = "a key whose hash or equality fails, or changes the dict, once it is stored can neither be written nor undone"
HASHES = "counts calls of a key's __hash__; a tracked change looks its key up more often than a builtin does"
MANY = "holds more than a thousand drop-ins at once, each with a table; legacy runs it"

LEFT_OUT: dict[str, tuple[tuple[str, ...], str]] = {
    "TestMappingProtocol.test_copy": (PHASES, COPY),
    "TestHashMappingProtocol.test_copy": (PHASES, COPY),
    "UserDictTest.test_copy": (PHASES, COPY),
    "UserDictTest.test_missing": (PHASES, "is about subclasses of UserDict; DictTest.test_missing runs"),
    "DictTest.test_container_iterator": (PHASES, LIFETIME),
    "TestSet.test_container_iterator": (PHASES, LIFETIME),
    "TestSet.test_weakref": (PHASES, LIFETIME),
    "DictTest.test_track_dynamic": (PHASES, GC),
    "TestSet.test_do_not_rehash_dict_keys": (PHASES, HASHES),
    "TestSet.test_pickling": (PHASES, "pickles attributes that a subclass of set carries"),
    "TestHashMappingProtocol.test_getitem": (("dual_write",), HOSTILE),
    "TestHashMappingProtocol.test_pop": (("dual_write",), HOSTILE),
    "TestHashMappingProtocol.test_setdefault": (("dual_write",), HOSTILE),
    "UserDictTest.test_getitem": (("dual_write",), HOSTILE),
    "UserDictTest.test_pop": (("dual_write",), HOSTILE),
    "UserDictTest.test_setdefault": (("dual_write",), HOSTILE),
    "DictTest.test_getitem": (("dual_write",), HOSTILE),
    "DictTest.test_pop": (("dual_write",), HOSTILE),
    "DictTest.test_setdefault": (("dual_write",), HOSTILE),
    "DictTest.test_resize2": (("dual_write",), HOSTILE),
    "DictTest.test_merge_and_mutate": (("dual_write",), "update reads its argument first, so the trap cannot spring"),
    "DictTest.test_setdefault_atomic": (("dual_write",), HASHES),
    "DictTest.test_setitem_atomic_at_resize": (("dual_write",), HASHES),
    "TestHashMappingProtocol.test_repr_deep": (("dual_write",), MANY),
    "UserDictTest.test_repr_deep": (("dual_write",), MANY),
    "DictTest.test_repr_deep": (("dual_write",), MANY),
    "CommonTest.test_repr_deep": (("dual_write",), MANY),
    "TestSet.test_gc": (("dual_write",), MANY),
    "TestWeirdBugs.test_8420_set_merge": (("dual_write",), HOSTILE),
    "TestWeirdBugs.test_merge_and_mutate": (("dual_write",), HOSTILE),
}

LEFT_OUT_CLASSES: dict[str, tuple[tuple[str, ...], str]] = {
    "Frozen": (PHASES, "frozenset is not mutable, so there is no drop-in for it"),
    "Subclass": (PHASES, "is about subclasses of set, which a drop-in is itself"),
    "Mutating": (("dual_write",), f"looks for crashes of CPython with random hashes and equality: {HOSTILE}"),
}


def left_out(phase: str, case: str, name: str) -> bool:
    """Whether the test stands in one of the two tables."""
    by_class = any(word in case and phase in phases for word, (phases, _) in LEFT_OUT_CLASSES.items())
    return by_class or phase in LEFT_OUT.get(f"{case}.{name}", ((), ""))[0]


class Bench:
    """Where the stand-ins take their drop-ins from while a test runs."""

    pool: Pool | None = None

    @classmethod
    def fresh(cls, kind: type) -> Any:
        """An empty drop-in."""
        assert cls.pool is not None, "a drop-in was asked for outside a test"
        return cls.pool.fresh(kind)


def bound() -> list[type[unittest.TestCase]]:
    """CPython's test classes with the stand-ins in the place of the builtins. Raises ImportError."""
    from test import list_tests, mapping_tests

    a_dict, a_list, a_set = (Factory(kind, Bench.fresh) for kind in (dict, list, set))
    cases: list[type[unittest.TestCase]] = [
        type(base.__name__, (base,), {"type2test": stand_in})
        for base, stand_in in (
            (mapping_tests.TestMappingProtocol, a_dict),
            (mapping_tests.TestHashMappingProtocol, a_dict),
            (list_tests.CommonTest, a_list),
        )
    ]
    collections_with = types.SimpleNamespace(**{**vars(collections), "UserDict": a_dict})
    cases.append(suites.load("test_dict", dict=a_dict).DictTest)
    user_dict = suites.load("test_userdict", collections=collections_with).UserDictTest
    user_dict.type2test = a_dict
    cases.append(user_dict)
    return cases + _set_cases(suites.load("test_set", set=a_set), a_set)


def _set_cases(module: types.ModuleType, a_set: Factory) -> list[type[unittest.TestCase]]:
    cases = []
    for case in vars(module).values():
        if not (isinstance(case, type) and issubclass(case, unittest.TestCase)):
            continue
        for attribute in ("thetype", "constructor1", "constructor2"):
            if getattr(case, attribute, None) is set:
                setattr(case, attribute, a_set)
        cases.append(case)
    return cases


try:
    CASES = [(case, name) for case in bound() for name in suites.method_names(case)]
    MISSING = ""
except ImportError as problem:
    CASES = []
    MISSING = suites.package_missing(problem)

RUNS = [
    pytest.param(phase, case, name, id=f"{phase}-{case.__name__}.{name}")
    for phase in PHASES
    for case, name in CASES
    if not left_out(phase, case.__name__, name)
] or [pytest.param("legacy", None, "", id="missing")]


@pytest.fixture(scope="module")
def pools(
    pg_server: Address, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Pool]]:
    """One open service a phase, on a database of its own."""
    found: dict[str, Pool] = {}
    databases = []
    for phase in PHASES:
        databases.append(_database(pg_server, database_template))
        home = tmp_path_factory.mktemp(phase)
        env = {
            "DATABASE_URL": next(databases[-1]).libpq_url(),
            "OUTLIVE_HOME": str(home),
            "OUTLIVE_SERVICE": "cpython",
            "OUTLIVE_PHASE": phase,
            "OUTLIVE_SCRUB_S": "3600",
        }
        service = Service(settings=Settings.from_env(env), env=env)
        found[phase] = Pool(service, EACH)
        service.start()
    yield found
    for pool in found.values():
        pool.service.close()
    for database in databases:
        next(database, None)


@pytest.fixture
def pool(pools: dict[str, Pool], phase: str) -> Iterator[Pool]:
    """The phase's drop-ins, all empty; emptied again, as a unit of its own, after the test."""
    Bench.pool = pools[phase]
    yield pools[phase]
    Bench.pool = None
    with pools[phase].service.unit():
        pools[phase].empty()


class _Undone(Exception):
    """Ends a unit that cannot land."""


def test_the_suites_are_there() -> None:
    """CPython's test package is importable: without it nothing below has been shown."""
    assert not MISSING, MISSING
    assert len(RUNS) > 1000


def test_what_is_left_out_exists() -> None:
    """Every name in the table of what is left out is a test of this CPython, or of none that it still has."""
    assert not MISSING, MISSING
    known = {f"{case.__name__}.{name}" for case, name in CASES}
    assert sorted(set(LEFT_OUT) - known) == []


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("value", [{"a": 1, 2: [3]}, [1, "a", None], {1, "a"}], ids=["dict", "list", "set"])
def test_copies_are_plain_builtins(pool: Pool, phase: str, value: Any) -> None:
    """What copy, deepcopy and pickle give of a drop-in equals it and is the plain builtin, which is no store."""
    with pool.service.unit():
        drop_in = Factory(type(value), pool.fresh)(value)
        copies = [drop_in.copy(), copy.copy(drop_in), copy.deepcopy(drop_in)]
        copies += [pickle.loads(pickle.dumps(drop_in, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)]  # noqa: S301
        for copied in copies:
            assert copied == value
            assert type(copied) is type(value)


@pytest.mark.parametrize(("phase", "case", "name"), RUNS)
def test_cpython(pool: Pool, phase: str, case: type[unittest.TestCase] | None, name: str) -> None:
    """The builtin's own test passes on the drop-in, and in dual_write PostgreSQL then holds what the drop-in holds."""
    assert case is not None, MISSING
    result = unittest.TestResult()
    try:
        with pool.service.unit() as unit:
            case(name).run(result)
            if not landable(unit):
                raise _Undone
    except _Undone:
        pass
    else:
        for store in pool.given:
            assert stored(pool.service, store) == shown(store), store.name
    problems = [
        text for _, text in (*result.errors, *result.failures, *((t, "passed") for t in result.unexpectedSuccesses))
    ]
    assert not problems, "\n".join(problems)
