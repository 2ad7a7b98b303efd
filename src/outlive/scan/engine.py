"""The single entry of the scan: paths in, a catalogue out.

discover ─ extract (in processes when files are many) ─ slots ─ graph ─ entries ─ uses ─ classify ─ describe
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from outlive.scan import config as settings
from outlive.scan import entries as doors
from outlive.scan import graph as calls
from outlive.scan.catalogue import CLASSES, Catalogue, Finding, Skipped
from outlive.scan.classify import judge
from outlive.scan.describe import finding
from outlive.scan.discover import files as discover
from outlive.scan.discover import source
from outlive.scan.duplicates import merged
from outlive.scan.extract import extract, summarise
from outlive.scan.frameworks import frameworks
from outlive.scan.libraries import libraries
from outlive.scan.likeness import Verdict, World
from outlive.scan.longevity import Longevity
from outlive.scan.mirrors import mirrors
from outlive.scan.resolve import Resolver
from outlive.scan.rules import AFTERWARDS, CONTAINERS
from outlive.scan.services import service_names, services
from outlive.scan.slots import Key, Slot, Sources
from outlive.scan.summary import Summary
from outlive.scan.together import can_fork, together
from outlive.scan.uses import Use, collect, packed, put_in, unpacked
from outlive.scan.wire import pack, unpack

MANY_FILES = 150
CHUNK_FILES = 40


def scan(
    paths: Sequence[Path],
    *,
    config: settings.ScanConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Catalogue:
    """The catalogue of all Python source under `paths` (files or folders); nothing is imported or executed.

    Paths in the result are relative to the deepest folder that holds all of `paths`. Unreadable files are listed under
    `skipped`. Without `config` the nearest outlive.toml is read. `progress(done, total)` is called as files are read.
    Raises BadConfig.
    """
    began = time.perf_counter()
    root = _root(paths)
    config = settings.load(root) if config is None else config
    enabled = gc.isenabled()
    gc.disable()
    try:
        names = [(str(path), _relative(path, root)) for path in discover(paths)]
        names = [each for each in names if not config.excludes(each[1])]
        found = list(_told(_summaries(names), len(names), progress))
        files = {each.path: each for each in found if isinstance(each, Summary)}
        skipped = tuple(each for each in found if isinstance(each, Skipped))
        findings, folders = _findings(files, root, config)
    finally:
        if enabled:
            gc.enable()
    return Catalogue(root, findings, skipped, len(names), time.perf_counter() - began, folders)


def _root(paths: Sequence[Path]) -> Path:
    folders = [str((each if each.is_dir() else each.parent).resolve()) for each in paths]
    return Path(os.path.commonpath(folders)) if folders else Path.cwd()


def _relative(path: Path, root: Path) -> str:
    full = str(path.parent.resolve() / path.name)
    found = os.path.relpath(full, root) if not full.startswith(f"{root}{os.sep}") else full[len(str(root)) + 1 :]
    return found.replace(os.sep, "/")


def _told(
    read: Iterator[Summary | Skipped], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Summary | Skipped]:
    for done, each in enumerate(read, 1):
        if progress is not None:
            progress(done, total)
        yield each


def _summaries(names: list[tuple[str, str]]) -> Iterator[Summary | Skipped]:
    workers = min(os.cpu_count() or 1, 8)
    if len(names) < MANY_FILES or workers == 1 or multiprocessing.current_process().daemon:
        yield from map(_summary, names)
        return
    with multiprocessing.get_context(_method()).Pool(workers, initializer=gc.disable) as pool:
        yield from map(unpack, pool.imap(_packed, names, chunksize=CHUNK_FILES))


def _method() -> str:
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def _packed(name: tuple[str, str]) -> bytes:
    return pack(_read(name, extract))


def _summary(name: tuple[str, str]) -> Summary | Skipped:
    return _read(name, summarise)


def _read(name: tuple[str, str], how: Callable[[str, bytes], Summary | Skipped]) -> Summary | Skipped:
    text = source(Path(name[0]))
    return replace(text, path=name[1]) if isinstance(text, Skipped) else how(name[1], text)


def _findings(
    files: dict[str, Summary], root: Path, config: settings.ScanConfig
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    folders = services(root, files)
    world, slots = understand(files, folders, str(root))
    found: list[tuple[Slot, Finding]] = []
    world.top = root.name
    for slot in slots.values():
        verdict = judge(world, slot)
        verdict = _marked(files, slot, verdict)
        if verdict.report:
            found.append((slot, finding(world, slot, verdict)))
    settled = _settled(found, world)
    names = service_names(set(folders.values()), root.name)
    quoted = [replace(_quoted(each, root), service=names[each.service]) for _, each in settled]
    named = [_overridden(each, config) for each in quoted]
    return tuple(sorted(merged(named, files), key=lambda each: (each.path, each.line, each.symbol))), tuple(
        sorted(set(names.values()))
    )


def understand(files: dict[str, Summary], folders: dict[str, str], root: str = "") -> tuple[World, dict[Key, Slot]]:
    """Everything that judging needs: candidates, who calls whom, doors, lifetimes, uses."""
    slots: dict[Key, Slot] = {}
    resolver = Resolver(files, slots, root, folders)
    sources = Sources(files, resolver, folders)
    found = [slot for rule in CONTAINERS for slot in rule(sources)]
    for slot in found:
        resolver.hold(slot)
    resolver.forget()
    for rule in AFTERWARDS:
        for slot in rule(sources):
            resolver.hold(slot)
    resolver.forget()
    for slot in slots.values():
        _own(resolver, slot)
        if slot.annotation:
            slot.records = resolver.held(slot.at if slot.kind != "state" else (slot.path, ""), slot.annotation)
    put_in(files, resolver, slots)
    calls.give(files, resolver)
    longevity, uses = _followed(files, resolver)
    entries, started = longevity.entries, longevity.started
    served = {folders.get(at[0], "") for at, entry in entries.items() if entry.kind in doors.OUTSIDE}
    world = World(files, resolver, longevity, longevity.reached, uses, folders, served)
    world.doors = entries
    world.started = started
    world.mirrored = mirrors(world, slots)
    world.saved = {key: slots[file].symbol for file, images in world.mirrored.items() for key in images}
    world.applications = {folders.get(path, "") for path, file in files.items() if doors.applies(file)}
    world.frameworks = frameworks(files, folders, entries)
    world.libraries = libraries(files, entries, started)
    world.runs = {
        path
        for path, file in files.items()
        if any(doors.runs(call.path) for s in file.scopes.values() for call in s.calls)
    }
    return world, slots


def _followed(files: dict[str, Summary], resolver: Resolver) -> tuple[Longevity, dict[Key, list[Use]]]:
    """Who reaches what and lives how long, and all uses of the slots: neither asks for the other's answers."""
    if len(files) >= MANY_FILES and can_fork():
        longevity, sent = together(partial(_lives, files, resolver), lambda: packed(collect(files, resolver)))
        return longevity, unpacked(sent)
    uses = collect(files, resolver)
    resolver.forget_given()
    return _lives(files, resolver), uses


def _lives(files: dict[str, Summary], resolver: Resolver) -> Longevity:
    graph = calls.Graph(files, resolver)
    entries = doors.find(files, resolver)
    reached = doors.reach(entries, graph)
    return Longevity(files, resolver, graph, entries, reached, doors.started(files, entries, graph))


def _own(resolver: Resolver, slot: Slot) -> None:
    """Notes the class of a container that is an object of a scanned subclass of dict or list."""
    for at, value in slot.values:
        if value[0] == "c":
            for ref in resolver.value(at, value):
                if ref.kind == "inst":
                    slot.own.append((ref.key[0], ref.key[1]))
                    resolver.own[(ref.key[0], ref.key[1])].append(slot.key)


def _marked(files: dict[str, Summary], slot: Slot, verdict: Verdict) -> Verdict:
    """What a comment `# outlive: CLASS` on the line, or alone on the line above, says instead."""
    marks = files[slot.path].marks if slot.path in files else {}
    word = marks.get(slot.line) or marks.get(slot.end) or marks.get(-(slot.line - 1))
    if word in CLASSES:
        return Verdict(word, ["said so in a comment"])
    if word == "ignore":
        return Verdict("other", ["said so in a comment"])
    return verdict


def _settled(found: list[tuple[Slot, Finding]], world: World) -> list[tuple[Slot, Finding]]:
    """A file whose content a store mirrors is that store's file, not a second store."""
    stores = {slot.key: each.symbol for slot, each in found if each.cls == "store" and each.rule != "rewritten-file"}
    result = []
    for slot, each in found:
        behind = [stores[key] for key in world.mirrored.get(slot.key, ()) if key in stores]
        if each.rule == "rewritten-file" and each.cls == "store" and behind:
            behind_these = (f"the file behind {', '.join(behind)}",)
            result.append((slot, replace(each, cls="other", reasons=behind_these)))
        else:
            result.append((slot, each))
    return result


def _overridden(each: Finding, config: settings.ScanConfig) -> Finding:
    override = config.override(each)
    if override is None or not override.cls:
        return each
    return replace(each, cls=override.cls, reasons=(override.reason,))


def _quoted(each: Finding, root: Path) -> Finding:
    """The finding with its declaration and the comment behind it, as they stand in the source."""
    try:
        lines = (root / each.path).read_bytes().split(b"\n")[each.line - 1 : each.end_line]
    except OSError:
        return each
    if each.path.endswith(".ipynb"):
        return each
    text = b"\n".join(lines[:12]).decode("utf-8", "replace").strip()
    first = lines[0].decode("utf-8", "replace") if lines else ""
    _, mark, comment = first.partition("  #")
    return replace(each, declaration=text, comment=comment.strip() if mark else "")
