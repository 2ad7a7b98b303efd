"""From a judged candidate to a finding: shape, record, who reads and writes it, and what its fields mean."""

from __future__ import annotations

import re
from collections.abc import Iterable

from outlive.scan.annotations import key_of, split
from outlive.scan.catalogue import Entry, FieldInfo, Finding, Site
from outlive.scan.catalogue import Use as FieldUse
from outlive.scan.classify import file_sites
from outlive.scan.entries import serving
from outlive.scan.fields import describe as record_of
from outlive.scan.fields import guess
from outlive.scan.likeness import Verdict, World, counter_used
from outlive.scan.resolve import At
from outlive.scan.slots import Slot
from outlive.scan.uses import REMOVES, Use
from outlive.scan.words import word_set, words

TENANTS = (
    "tenant_id",
    "tenant",
    "organization_id",
    "organisation_id",
    "org_id",
    "workspace_id",
    "company_id",
    "account_id",
    "guild_id",
    "customer_id",
    "server_id",
    "team_id",
    "site_id",
    "shop_id",
)
MONEY = word_set("""
    price amount cost total subtotal balance fee salary budget revenue tax discount wage payment credit debit refund
    deposit cents usd eur money income expense paid currency coins wallet bank cash""")
PERSONAL = word_set("""
    email mail phone mobile address birth birthday birthdate dob ssn passport password firstname lastname surname
    fullname username gender iban ip contact nickname avatar farmer patient owner telephone age""")
PERSONAL_NAMES = re.compile(
    r"^(full|first|last|user|display|customer|contact|farmer|patient|author|sender|owner)_?name$"
)
PLACES = word_set("""
    lat lon lng latitude longitude location geometry coordinates coords geo polygon gps geojson centroid bbox
    position governorate""")
TIMES = re.compile(r"(_at|_time|_date|_on|timestamp|^ts|^time|^date|^created|^updated|deadline|expires|expiry)$")
NUMBERS = re.compile(r"\b(int|float|Decimal|str|)\b")


def finding(world: World, slot: Slot, verdict: Verdict) -> Finding:
    """The finding of one candidate, without what the ranking adds."""
    uses = world.uses.get(slot.key, [])
    record, fields = record_of(world, slot, uses)
    writes = [use for use in uses if use.write]
    later = [use for use in writes if world.files[use.at[0]].scopes[use.at[1]].kind == "function"]
    names = [each.name for each in fields]
    return Finding(
        path=slot.path,
        line=slot.line,
        end_line=max(slot.end, slot.line),
        symbol=slot.symbol,
        cls=verdict.cls,
        container=_container(slot, record),
        rule=slot.rule,
        key=_key(world, slot, uses),
        record=record,
        fields=fields,
        service=world.service.get(slot.path, "."),
        reasons=tuple(verdict.reasons),
        readers=_sites(world, slot, [use for use in uses if not use.write], writes=False),
        writers=_sites(world, slot, writes, writes=True),
        filters=_filters(world, uses),
        sorts=_sorts(world, uses),
        bounded=_bounded(world, slot, uses),
        in_place=any(use.depth and use.how in _CHANGES for use in writes),
        rebound=(any(use.how == "rebind" and use in later for use in writes) and slot.rule != "instance-container")
        or any(use.how == "rebind" and not use.at[1].endswith(("__init__", "__post_init__")) for use in later),
        iterated_while_mutated=any(use.looping and use.depth == 0 for use in writes),
        counter=counter_used(world, slot, later),
        tenant=_tenant(names, uses, slot),
        money=tuple(each.name for each in fields if _money(each)),
        personal=tuple(name for name in names if set(words(name)) & PERSONAL or PERSONAL_NAMES.match(name)),
        places=tuple(name for name in names if set(words(name)) & PLACES),
        time_fields=tuple(each.name for each in fields if _time(each)),
    )


_CHANGES = frozenset(
    {
        "set item",
        "change record",
        "augment item",
        "append",
        "augment",
        "update",
        "add",
        "remove",
        "delete item",
        "extend",
        "set attribute",
        "pop",
        "insert",
        "clear",
        "discard",
        "setdefault",
        "appendleft",
        "replace all",
    }
)


def _money(field: FieldInfo) -> bool:
    kind = field.annotation
    return (
        bool(set(words(field.name)) & MONEY)
        and not re.search(r"\b(bool|datetime|date)\b", kind)
        and not field.name.endswith(("_id", "_at"))
    )


def _time(field: FieldInfo) -> bool:
    return bool(re.search(r"\b(datetime|date|time|AwareDatetime)\b", field.annotation)) or bool(
        TIMES.search(field.name) and field.annotation in {"", "str", "float", "int", "str | None", "Optional[str]"}
    )


def _tenant(names: list[str], uses: list[Use], slot: Slot) -> str | None:
    for name in TENANTS:
        if name in names:
            return name
    for use in uses:
        key = use.key[1] if use.key[0] == "p" and use.depth == 0 else ""
        last = key.rsplit(".", 1)[-1]
        if last in TENANTS:
            return last
    return None


def _container(slot: Slot, record: str) -> str:
    if slot.annotation and slot.rule != "rebound-variable" and slot.container != "ContextVar":
        return _plain(slot.annotation)
    if slot.annotation:
        return _plain(slot.annotation)
    facts = next((dict(value[3]) for _, value in slot.values if value[0] == "k" and len(value) > 3), {})
    inner = facts.get("values", "")
    if slot.container == "defaultdict" and inner:
        return f"defaultdict[{inner}]"
    return slot.container


def _plain(annotation: str) -> str:
    text = annotation.strip().strip("\"'")
    found = re.fullmatch(r"(?:typing\.)?(Final|ClassVar|Annotated)\[(.*)\]", text, re.DOTALL)
    if not found:
        return text
    return split(found[2], ",")[0].strip()


def _key(world: World, slot: Slot, uses: list[Use]) -> str:
    stated = key_of(slot.annotation) if slot.annotation else ""
    if stated:
        return stated
    if slot.container not in {"dict", "defaultdict", "OrderedDict", "Counter", "UserDict", "shelf file"}:
        return ""
    for _, value in slot.values:
        if value[0] == "k" and dict(value[3]).get("key"):
            return str(dict(value[3])["key"])
    for use in uses:
        if (
            use.how in {"set item", "setdefault", "augment item", "delete item", "get", "contains", "pop"}
            and use.depth == 0
        ):
            found = guess(world, use.at, use.key)
            if found:
                return found
    return ""


def nearest(entries: Iterable[Entry]) -> Entry | None:
    """The first door that serves, else the first one."""
    every = tuple(entries)
    return next((each for each in every if serving((each,))), every[0] if every else None)


def _sites(world: World, slot: Slot, uses: list[Use], *, writes: bool) -> tuple[Site, ...]:
    found: dict[tuple[str, int], Site] = {}
    if slot.rule in {"rewritten-file", "django-memory-cache"}:
        for at, line, written in file_sites(slot):
            if written is writes:
                entries = world.entries(at)
                found[(at[0], line)] = Site(at[0], line, at[1], "save" if writes else "load", nearest(entries), entries)
    for use in uses:
        key = (use.at[0], use.line)
        if use.how == "rebind" and use.at == slot.at and slot.kind == "module":
            continue
        known = found.get(key)
        if known is None or known.how in {"read", "get item", "use"}:
            entries = world.entries(use.at)
            function = use.at[1] if world.files[use.at[0]].scopes[use.at[1]].kind == "function" else ""
            found[key] = Site(use.at[0], use.line, function, _how(use), nearest(entries), entries)
    return tuple(found[key] for key in sorted(found))


def _how(use: Use) -> str:
    if use.write and use.depth and use.how in {"set item", "augment", "augment item", "set attribute", "change record"}:
        return "change record"
    return use.how


def _filters(world: World, uses: list[Use]) -> tuple[FieldUse, ...]:
    found: dict[tuple[str, str], FieldUse] = {}
    for use in uses:
        if use.how == "compare" and use.field and use.operator not in {"is", "is not"}:
            door = nearest(world.entries(use.at))
            found.setdefault((use.field, use.operator), FieldUse(use.field, use.operator, use.at[0], use.line, door))
    return tuple(found.values())


def _sorts(world: World, uses: list[Use]) -> tuple[FieldUse, ...]:
    found: dict[tuple[str, str], FieldUse] = {}
    for use in uses:
        if use.how == "sort by":
            door = nearest(world.entries(use.at))
            found.setdefault((use.field, use.operator), FieldUse(use.field, use.operator, use.at[0], use.line, door))
    return tuple(found.values())


def _bounded(world: World, slot: Slot, uses: list[Use]) -> str | None:
    for _, value in slot.values:
        if value[0] == "k":
            facts = dict(value[3])
            for name in ("maxlen", "maxsize"):
                if facts.get(name) and facts[name] != "None":
                    return f"older records are dropped at {_number(world, slot.at, facts[name])}"
    dropping = {use.at for use in uses if use.write and (use.how in REMOVES or use.how in {"rebind", "replace all"})}
    for use in uses:
        over = use.key[2:] in {(">",), (">=",)}
        if use.how == "length" and use.depth == 0 and use.at in dropping and over:
            return f"older records are dropped at {_number(world, use.at, use.value[2])}"
    for use in uses:
        if (
            use.how in {"rebind", "replace all"}
            and use.value[0] == "d"
            and len(use.value) > 2
            and use.value[2].startswith("-")
        ):
            return f"only the last {_number(world, use.at, use.value[2][1:])} records are kept"
    return None


def _number(world: World, at: At, text: str) -> str:
    """A limit as a number: the constant that a name stands for, the name itself where that is unknown."""
    name = text.rsplit(".", 1)[-1]
    if not name.isidentifier():
        return text
    scope: At | None = at
    while scope is not None:
        binds = world.files[scope[0]].scopes[scope[1]].binds
        found = next((each for each in binds if each.target.rsplit(".", 1)[-1] == name and each.value[0] == "l"), None)
        if found is not None:
            return str(found.value[2])
        scope = (scope[0], world.files[scope[0]].scopes[scope[1]].parent) if scope[1] else None
    for each in world.files[at[0]].scopes[""].imports:
        if each.local == name:
            path = world.resolver.modules.of(at[0], each)
            if path and path in world.files:
                binds = world.files[path].scopes[""].binds
                return next((str(b.value[2]) for b in binds if b.target == each.attribute and b.value[0] == "l"), text)
    return text
