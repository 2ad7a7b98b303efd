"""What a name or path means, across files: containers, classes, instances, functions, modules.

    resolve(scope, "self.repo.rows[]")  ->  the slot `Repo.rows`, one level inside

Answers are sets of `Ref`, without regard to the order of statements. Nothing is guessed: a path that cannot be
followed means nothing.
"""

from __future__ import annotations

import builtins
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from outlive.scan.aliases import Aliases
from outlive.scan.annotations import classes_in, element_of
from outlive.scan.modules import Modules
from outlive.scan.places import BUSY, Answers, Place, Ref, Refs
from outlive.scan.slots import At, Key, Slot
from outlive.scan.summary import Bind, Import, Scope, Summary, Val

__all__ = ["At", "Ref", "Refs", "Resolver"]

STEPS = re.compile(r"\.\w+|\[\]|\['\w+'\]|\(\)")
APP_STATE = re.compile(r"^(?:\w+\.)*?(?:app|application|_app|api|server|request\.app)\.(?:state|ctx)\.(\w+)")
APP_ITEM = re.compile(
    r"^(?:\w+\.)*?(?:app|application|_app|current_app)(?:\.config|\.bot_data|\.extensions)?\['(\w+)'\]"
)
BOT_DATA = re.compile(r"^(?:context|ctx)\.bot_data\['(\w+)'\]")
ONE = frozenset({"get", "pop", "setdefault", "popitem", "popleft", "__getitem__", "peekitem"})
SAME = frozenset({"values", "keys", "copy", "most_common", "elements", "__iter__", "to_dict"})
MOST_REFS = 6
DEEPEST_INSIDE = 6
_DEPENDS = re.compile(r"\b(?:Depends|Security)\((\w[\w.]*)\)")
_WHOLE = frozenset({"slot", "copy", "items"})
_BUILTINS = frozenset(dir(builtins))


class Resolver(Answers):
    """Follows names; `slots` are the containers known so far, `given` what calls pass for parameters."""

    def __init__(
        self, files: dict[str, Summary], slots: dict[Key, Slot], root: str = "", service: dict[str, str] | None = None
    ) -> None:
        super().__init__()
        self.files = files
        self.slots = slots
        self.modules = Modules(files, root)
        self.service = service or {}
        self.aliases = Aliases(files)
        self.own: dict[At, list[Key]] = defaultdict(list)
        self.given: dict[tuple[str, str, str], dict[Ref, None]] = defaultdict(dict)
        self.attributes: dict[At, dict[str, list[tuple[str, Bind]]]] = defaultdict(lambda: defaultdict(list))
        self.subclasses: dict[At, list[At]] = defaultdict(list)
        self.placed: set[tuple[str, str]] = set()  # what modules hang on objects: ("bot", "balances")
        self._places: dict[At, Place] = {}
        self._inner: dict[str, dict[str, dict[str, Refs]]] = {}
        self._stars: dict[str, list[Import]] = {}
        self._steps: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._classes: dict[tuple[str, str], list[At]] | None = None
        self._bases: dict[At, tuple[tuple[At, ...], tuple[str, ...]]] = {}
        self._index()

    def _index(self) -> None:
        for path, file in self.files.items():
            for qual, scope in file.scopes.items():
                owner = self.owner(path, qual)
                if owner is None or not scope.params:
                    continue
                for me in _selves(scope):
                    for bind in scope.binds:
                        if bind.target.startswith(me) and "." not in bind.target[len(me) :] and "[" not in bind.target:
                            self.attributes[owner][bind.target[len(me) :]].append((qual, bind))

    def hold(self, slot: Slot) -> None:
        """Takes a slot in, unless there is one under its key."""
        if slot.key not in self.slots:
            self.slots[slot.key] = slot
            place = self._existing((slot.key[0], slot.key[1]))
            if place is not None:
                place.held[slot.key[2]] = (Ref("slot", slot.key),)

    def forget(self) -> None:
        """Drops remembered answers, after slots or what they hold grew."""
        for place in self._places.values():
            place.firm.clear()
            place.loose.clear()

    def forget_given(self) -> None:
        """Drops the remembered answers that hang on what parameters are given."""
        for place in self._places.values():
            place.loose.clear()

    def place(self, at: At) -> Place:
        """The scope at a place, as names are followed in it."""
        found = self._places.get(at)
        if found is None:
            scope = self.files[at[0]].scopes[at[1]]
            up = self.place((at[0], scope.parent)) if at[1] else None
            found = self._places[at] = Place(at, scope, up)
        return found

    def _existing(self, at: At) -> Place | None:
        found = self._places.get(at)
        if found is not None:
            return found
        file = self.files.get(at[0])
        return self.place(at) if file is not None and at[1] in file.scopes else None

    def scope(self, at: At) -> Scope:
        """The scope at a place."""
        return self.files[at[0]].scopes[at[1]]

    def owner(self, path: str, qual: str) -> At | None:
        """The class whose method a function is, None for other functions."""
        scopes = self.files[path].scopes
        scope = scopes[qual]
        if scope.kind == "function" and scope.parent and scopes[scope.parent].kind == "class":
            return (path, scope.parent)
        return None

    def bases(self, at: At) -> tuple[tuple[At, ...], tuple[str, ...]]:
        """A class's base classes: those that were scanned, and the dotted names of those outside (all levels)."""
        if at in self._bases:
            return self._bases[at]
        self._bases[at] = ((), ())
        inside: list[At] = []
        outside: list[str] = []
        scope = self.scope(at)
        for base in scope.bases:
            if base[0] == "m":
                outside.append(f"metaclass:{base[1]}")
                continue
            refs = self.value((at[0], scope.parent), base)
            for ref in refs:
                if ref.kind == "class":
                    parent = (ref.key[0], ref.key[1])
                    inside.append(parent)
                    more = self.bases(parent)
                    inside.extend(more[0])
                    outside.extend(more[1])
                elif ref.kind == "ext":
                    outside.append(ref.key[0])
            if not refs and base[0] in {"p", "c"}:
                outside.append(str(base[1]))
        self._bases[at] = (tuple(dict.fromkeys(inside)), tuple(dict.fromkeys(outside)))
        for parent in self._bases[at][0]:
            self.subclasses[parent].append(at)
        return self._bases[at]

    def resolve(self, at: At, text: str) -> Refs:
        """What a path means in a scope."""
        return self.meaning(self.place(at), text)

    def meaning(self, place: Place, text: str) -> Refs:
        """What a path means in a scope that was looked up before."""
        return self.answer(place, text, self._name if text.isidentifier() else self._path)

    def _path(self, place: Place, text: str) -> Refs:
        if ".state." in text or ".ctx." in text or "['" in text:
            state = self._state(place.at, text)
            if state is not None:
                return state
        found = self._steps.get(text)
        root, steps = found if found is not None else self._split(text)
        if self.placed and steps and (hung := self._hung(place.at, root, steps[0][1:])):
            return self._follow(hung, steps[1:])
        return self._follow(self.answer(place, root, self._name), steps)

    def _state(self, at: At, text: str) -> Refs | None:
        for pattern, owner in ((APP_STATE, "app.state"), (APP_ITEM, "app[]"), (BOT_DATA, "app[]")):
            found = pattern.match(text)
            if found:
                slot = next((key for key in self._state_keys(at[0], owner, found[1]) if key in self.slots), None)
                if slot is None:
                    holders = self.attributes.get(("", owner), {}).get(found[1], [])
                    refs = [ref for qual, bind in holders[:4] for ref in self.value(_place(qual), bind.value)]
                    return self._follow(tuple(refs), tuple(STEPS.findall(text[found.end() :]))) if refs else None
                return self._follow((Ref("slot", slot),), tuple(STEPS.findall(text[found.end() :])))
        return None

    def _hung(self, at: At, root: str, name: str) -> Refs:
        """The container that a module hung on its variable `root`, met there or where the variable is imported."""
        if (root, name) not in self.placed:
            return ()
        found = next((each for each in self.files[at[0]].scopes[""].imports if each.local == root), None)
        home = self.modules.of(at[0], found) if found is not None else at[0]
        key = (home or "", root, name)
        return (Ref("slot", key),) if key in self.slots else ()

    def _state_keys(self, path: str, owner: str, name: str) -> Iterable[Key]:
        yield (self.service.get(path, "."), owner, name)
        yield (".", owner, name)

    def _split(self, text: str) -> tuple[str, tuple[str, ...]]:
        cut = min((at for at in (text.find("."), text.find("["), text.find("(")) if at >= 0), default=len(text))
        found = self._steps[text] = (text[:cut], tuple(STEPS.findall(text[cut:])))
        return found

    def _follow(self, refs: Refs, steps: tuple[str, ...]) -> Refs:
        at = 0
        while at < len(steps) and refs:
            step = steps[at]
            if step[0] == "." and at + 1 < len(steps) and steps[at + 1] == "()":
                method = self._method(refs, step[1:])
                if method is not None:
                    refs, at = method, at + 2
                    continue
            refs = (
                _shallow(self._step(refs[0], step))
                if len(refs) == 1
                else _few(each for ref in refs for each in self._step(ref, step))
            )
            at += 1
        return refs

    def _method(self, refs: Refs, name: str) -> Refs | None:
        """What a container's own method gives; None when no container is meant."""
        if not any(ref.kind in {"slot", "copy", "items"} for ref in refs):
            return None
        found: list[Ref] = []
        for ref in refs:
            if ref.kind not in {"slot", "copy"}:
                continue
            if name in ONE:
                found.append(Ref("slot", ref.key, ref.depth + 1))
            elif name == "items":
                found.append(Ref("items", ref.key, ref.depth))
            elif name in SAME:
                found.append(Ref("copy", ref.key, ref.depth))
            else:
                found.extend(each for got in self._step(ref, f".{name}") for each in self._step(got, "()"))
        return _few(found)

    def _step(self, ref: Ref, step: str) -> Refs:
        if step == "()":
            return self.called(ref)
        if step[0] == "[":
            if ref.kind in {"slot", "copy"}:
                return (Ref("slot", ref.key, ref.depth + 1),)
            return ()
        if ref.kind in {"class", "inst"}:
            place = self._existing((ref.key[0], ref.key[1]))
            return self.answer(place, step, self._attribute) if place is not None else ()
        name = step[1:]
        if ref.kind == "mod":
            return self._of_module(ref.key[0], name)
        if ref.kind == "ext":
            return (Ref("ext", (f"{ref.key[0]}.{name}",)),)
        if ref.kind in {"slot", "copy"}:
            return self._of_record(ref, name)
        if ref.kind == "func":
            return self.place((ref.key[0], ref.key[1])).held.get(step, ())
        return ()

    def _of_record(self, ref: Ref, name: str) -> Refs:
        slot = self.slots.get((ref.key[0], ref.key[1], ref.key[2]))
        found: list[Ref] = []
        if slot is not None:
            for record in slot.records if ref.depth else slot.own:
                refs = self.attribute(record, name)
                found.extend(each for each in refs if each.kind in {"func", "slot"})
        if ref.depth == 0 and not (slot is not None and slot.container == "SimpleNamespace"):
            return _few(found)
        return _few([Ref("slot", ref.key, ref.depth + 1), *found])

    def _of_module(self, module: str, name: str) -> Refs:
        child = self.modules.child(module, name)
        if not module.endswith("/"):
            refs = self.name((module, ""), name)
            if refs:
                return refs
        return (Ref("mod", (child,)),) if child is not None else ()

    def attribute(self, owner: At, name: str) -> Refs:
        """What `instance.name` (or `Class.name`) means, base classes included."""
        place = self._existing(owner)
        return self.answer(place, f".{name}", self._attribute) if place is not None else ()

    def _attribute(self, place: Place, step: str) -> Refs:
        name = step[1:]
        found = self._own_attribute(place, name)
        if not found and name == "server":
            found = self._servers(place.at)
        for base in self.bases(place.at)[0] if not found else ():
            found = self._own_attribute(self.place(base), name)
            if found:
                break
        return found

    def _own_attribute(self, place: Place, name: str) -> Refs:
        held = place.held.get(name)
        if held is not None:
            return held
        path = place.at[0]
        inner = f"{place.at[1]}.{name}"
        scope = self.files[path].scopes.get(inner)
        if scope is not None:
            if any(each.path.endswith(("property", "getter")) for each in scope.decorators):
                return self.called(Ref("func", (path, inner)))
            return (Ref("class" if scope.kind == "class" else "func", (path, inner)),)
        found: list[Ref] = []
        own = self.attributes.get(place.at)
        if own is not None:
            for qual, bind in own.get(name, ())[:4]:
                found.extend(self._bound(self.place((path, qual)), bind))
        if not found:
            if not place.sorted:
                place.sort(self.inside(place.at))
            for bind in place.binds.get(name, ()):
                found.extend(self._bound(place, bind))
        return _few(found)

    def _servers(self, owner: At) -> Refs:
        """The scanned servers that a request handler may belong to."""
        if not any(each.endswith("RequestHandler") for each in self.bases(owner)[1]):
            return ()
        found = [
            Ref("inst", (path, qual))
            for path, file in self.files.items()
            for qual, scope in file.scopes.items()
            if scope.kind == "class" and any(each.endswith("Server") for each in self.bases((path, qual))[1])
        ]
        return _few(found)

    def called(self, ref: Ref) -> Refs:
        """What calling something gives."""
        if ref.kind == "class":
            return self.place((ref.key[0], ref.key[1])).instance
        if ref.kind == "ext":
            return (Ref("ext", (f"{ref.key[0]}()",)),) if not ref.key[0].endswith("()") else (ref,)
        if ref.kind != "func":
            return ()
        place = self.place((ref.key[0], ref.key[1]))
        held = place.held.get("()")
        return held if held is not None else self.answer(place, "()", self._returned)

    def _returned(self, place: Place, _: str) -> Refs:
        scope = place.scope
        found = [each for value, _ in scope.returns[:6] for each in self.worth(place, value)]
        if not found and scope.returns_annotation:
            found = list(self.annotated((place.at[0], scope.parent), scope.returns_annotation))
        return _few(found)

    def annotated(self, at: At, annotation: str) -> Refs:
        """Instances of the classes that an annotation names at its outside."""
        found = []
        for name in classes_in(annotation):
            for ref in self.resolve(at, name):
                if ref.kind == "class":
                    found.append(Ref("inst", ref.key))
                elif ref.kind == "ext" and not ref.key[0].startswith("builtins."):
                    found.append(Ref("ext", (f"{ref.key[0]}()",)))
                elif ref.kind == "inst":
                    found.append(ref)
        return _few(found)

    def held(self, at: At, annotation: str) -> list[At]:
        """The scanned classes of what a container's annotation says it holds."""
        found = self.annotated(at, element_of(annotation)) if element_of(annotation) else ()
        return [(ref.key[0], ref.key[1]) for ref in found if ref.kind == "inst"]

    def name(self, at: At, name: str) -> Refs:
        """What a bare name means in a scope."""
        return self.answer(self.place(at), name, self._name)

    def _name(self, place: Place, name: str) -> Refs:
        here = place
        while True:
            scope = here.scope
            shared = scope.shared.get(name) if scope.shared else None
            if shared == "global" and here.up is not None:
                here = self.place((here.at[0], ""))
                continue
            if shared != "nonlocal" and (here is place or scope.kind != "class"):
                if here is not place and (found := here.firm.get(name)) is not None and found is not BUSY:
                    return found
                refs = self._in_scope(here, name)
                if refs is not None:
                    return refs
            if here.up is None:
                break
            here = here.up
        return self._from_star(place.at[0], name) or ((Ref("ext", (f"builtins.{name}",)),) if name in _BUILTINS else ())

    def _from_star(self, path: str, name: str) -> Refs:
        for star in self._star(path):
            module = self.modules.of(path, star)
            if module is not None and not module.endswith("/") and module != path:
                refs = self.name((module, ""), name)
                if refs and refs[0].kind != "ext":
                    return refs
        return ()

    def _in_scope(self, place: Place, name: str) -> Refs | None:
        """The meaning that a scope itself gives a name; None when it does not bind it."""
        held = place.held.get(name)
        if held is not None:
            return held
        if not place.sorted:
            place.sort(self.inside(place.at))
        inner = place.inner.get(name)
        if inner is not None:
            return inner
        binds = place.binds.get(name)
        position = place.params.get(name)
        param = self._param(place, position, binds or ()) if position is not None else None
        if binds:
            found = [each for bind in binds[:4] for each in self._bound(place, bind)]
            return _few([*found, *(param or ())])
        if param is not None:
            return param
        found_import = place.imports.get(name)
        return self.imported(place.at[0], found_import) if found_import is not None else None

    def inside(self, at: At) -> dict[str, Refs]:
        """The scopes directly inside another, by name."""
        found = self._inner.get(at[0])
        if found is None:
            found = self._inner[at[0]] = {}
            for qual, scope in self.files[at[0]].scopes.items():
                outer, _, name = qual.rpartition(".")
                if qual:
                    ref = Ref("class" if scope.kind == "class" else "func", (at[0], qual))
                    found.setdefault(outer, {})[name] = (ref,)
        return found.get(at[1], {})

    def _bound(self, place: Place, bind: Bind) -> Refs:
        """What a binding makes of its target."""
        refs = self.worth(place, bind.value)
        if not refs and bind.annotation:
            return self.annotated(place.at, bind.annotation)
        return refs

    def _param(self, place: Place, position: int, binds: Sequence[Bind]) -> Refs:
        scope, param = place.scope, place.scope.params[position]
        if position == 0 and place.owner is not None and not place.static:
            own = self.own.get(place.owner.at)
            return (*place.owner.instance, *(Ref("slot", key) for key in own)) if own else place.owner.instance
        name = param.name.lstrip("*")
        outer = (place.at[0], scope.parent)
        fresh = bool(binds) and any(bind.value[0] in {"k", "d"} for bind in binds)
        self.asked += not fresh
        found = [] if fresh else list(self.given.get((place.at[0], place.at[1], name), ()))
        if param.annotation:
            found.extend(self.annotated(outer, param.annotation))
            found.extend(self._depends(outer, param.annotation))
        if param.default is not None and not found:
            found.extend(self._default(outer, param.default))
        if not found and not param.annotation and param.default is None:
            found.extend(self._by_its_name(place.at[0], name))
        return _few(found)

    def _by_its_name(self, path: str, name: str) -> Refs:
        """A parameter called `bot` is taken for an object of the service's only class `Bot`."""
        if self._classes is None:
            self._classes = {}
            for each, file in self.files.items():
                for qual, scope in file.scopes.items():
                    if scope.kind == "class":
                        key = (self.service.get(each, ""), scope.name.lower())
                        self._classes.setdefault(key, []).append((each, qual))
        known = self._classes.get((self.service.get(path, ""), name.replace("_", "").lower()), ())
        return (Ref("inst", known[0]),) if len(known) == 1 else ()

    def _default(self, at: At, default: Val) -> Refs:
        if default[0] == "c" and default[1].rsplit(".", 1)[-1] in {"Depends", "Security", "Provide"} and default[2]:
            return _few(each for ref in self.value(at, default[2][0]) for each in self.called(ref))
        return self.value(at, default)

    def _depends(self, at: At, annotation: str) -> Refs:
        found = _DEPENDS.search(annotation) if "(" in annotation else None
        if not found:
            return ()
        return _few(each for ref in self.resolve(at, found[1]) for each in self.called(ref))

    def imported(self, path: str, found: Import) -> Refs:
        """What an import binds."""
        module = self.modules.of(path, found)
        if module is None:
            dotted = f"{found.module}.{found.attribute}" if found.attribute else found.module
            return (Ref("ext", (dotted,)),) if not found.level else ()
        if not found.attribute:
            return (Ref("mod", (module,)),)
        if module == path:
            child = self.modules.child(module, found.attribute)
            return (Ref("mod", (child,)),) if child is not None else ()
        return self._of_module(module, found.attribute)

    def value(self, at: At, value: Val) -> Refs:
        """What a value may mean."""
        return self.worth(self.place(at), value)

    def worth(self, place: Place, value: Val) -> Refs:
        """What a value may mean in a scope that was looked up before."""
        kind = value[0]
        if kind == "p":
            return self.meaning(place, value[1])
        if kind == "c":
            return self.answer(place, f"{value[1]}()", self._path)
        if kind == "d" and value[2:] == ("deepcopy",):
            return ()  # nothing of the original can be reached through it
        if kind == "d":
            return _few(Ref("copy", r.key, r.depth) for r in self.meaning(place, value[1]) if r.kind in _WHOLE)
        if kind == "e":
            return self._element(self.meaning(place, value[1]), value[2])
        if kind == "f" and len(value) > 1 and value[1]:
            return (Ref("func", (place.at[0], value[1])),)
        if kind == "u":
            return _few(each for one in value[1] for each in self.worth(place, one))
        return ()

    def _element(self, refs: Refs, part: int) -> Refs:
        whole = _WHOLE if part == 1 else {"slot", "copy"}
        return _few(Ref("slot", ref.key, ref.depth + 1) for ref in refs if ref.kind in whole)

    def _star(self, path: str) -> list[Import]:
        found = self._stars.get(path)
        if found is None:
            found = self._stars[path] = [each for each in self.files[path].scopes[""].imports if each.local == "*"]
        return found


def _place(qual: str) -> At:
    return (qual.partition("\0")[0], qual.partition("\0")[2])


def _selves(scope: Scope) -> list[str]:
    """How a method names the object: its first parameter, and what `__new__` makes."""
    first = f"{scope.params[0].name}."
    made = (each for each in scope.binds if each.value[0] == "c" and each.value[1].endswith("__new__"))
    return [first, *(f"{each.target}." for each in made)]


def _shallow(refs: Refs) -> Refs:
    """The answer of one step, which is short already, without what lies too deep."""
    if len(refs) == 1:
        return refs if refs[0].depth <= DEEPEST_INSIDE else ()
    return refs if all(ref.depth <= DEEPEST_INSIDE for ref in refs) else _few(refs)


def _few(refs: Iterable[Ref]) -> Refs:
    found: dict[Ref, None] = {}
    for ref in refs:
        if ref.depth <= DEEPEST_INSIDE:
            found[ref] = None
        if len(found) >= MOST_REFS:
            break
    return tuple(found)
