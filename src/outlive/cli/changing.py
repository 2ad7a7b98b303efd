"""What `advance` and `rollback` have in common: running the walk, showing it, or showing what it would be."""

from __future__ import annotations

from typing import Any

import typer

from outlive.cli import output
from outlive.cli.session import Session
from outlive.errors import PhaseRefused
from outlive.phases import control
from outlive.phases.control import Changed, Flow, Order, Preview
from outlive.phases.flags import flags_of
from outlive.phases.machine import Phase
from outlive.postgres.drive import drive


def change(session: Session, order: Order, flow: Flow[list[Changed]], as_json: bool) -> None:
    """Runs the walk and shows where the store stands afterwards. Raises what the walk raises."""
    progress = output.Progress(as_json)
    try:
        changes = control.run(flow, session.conn, progress)
    finally:
        progress.clear()
    figures = drive(control.read_figures(order.service, order.store), session.conn)
    if as_json:
        moves = [changed.facts() for changed in changes]
        output.document(_where(order, figures.phase, figures.epoch) | {"moves": moves, "dry_run": False})
        return
    state = "is now in" if changes else "is already in"
    print(f"{order.name} {state} {figures.phase} (epoch {figures.epoch}); {flags_text(figures.phase)}")


def show_preview(session: Session, order: Order, to: Phase | None, *, forward: bool, as_json: bool) -> None:
    """Shows the walk and the gates of its first move. Raises typer.Exit(3) when one of them is closed."""
    plan = control.run(control.preview(order, to, forward=forward), session.conn)
    if as_json:
        output.document(_preview_facts(order, plan))
    else:
        _print_preview(order, plan, forward)
    if not plan.open and not order.force:
        raise typer.Exit(PhaseRefused.exit_code)


def flags_text(phase: Phase) -> str:
    """The two booleans of the requirements that mean `phase`."""
    flags = flags_of(phase)
    words = {True: "true", False: "false"}
    return (
        f"USE_DATABASE_STORAGE={words[flags.use_database_storage]} DUAL_WRITE_ENABLED={words[flags.dual_write_enabled]}"
    )


def _where(order: Order, phase: Phase, epoch: int) -> dict[str, Any]:
    return {"service": order.service, "store": order.store, "phase": phase, "epoch": epoch}


def _preview_facts(order: Order, plan: Preview) -> dict[str, Any]:
    return _where(order, plan.figures.phase, plan.figures.epoch) | {
        "dry_run": True,
        "open": plan.open,
        "moves": [
            {
                "from": move.current,
                "to": move.wanted,
                "guarded_by": list(move.gates),
                "fills_images": bool(move.prepare),
            }
            for move in plan.moves
        ],
        "gates": [gate.facts() for gate in plan.gates],
        "refill_ms": plan.refill_ms,
        "live_members": len(plan.figures.live),
    }


def _print_preview(order: Order, plan: Preview, forward: bool) -> None:
    if not plan.moves:
        print(f"{order.name} is already in {plan.figures.phase}; nothing to do")
        return
    first, *others = plan.moves
    output.gate_table(plan.gates, f"{order.name}: {first}")
    for move in others:
        print(f"then {move}, guarded by {', '.join(move.gates)}")
    if not forward:
        print(_refill_text(plan))
    closed = [gate for gate in plan.gates if not gate.open]
    asked = [gate.name for gate in closed if gate.remedy]
    if asked:
        print(f"a real run waits for, or asks running members for: {', '.join(asked)}")
    print("dry run: nothing was changed")


def _refill_text(plan: Preview) -> str:
    measured = "not measured yet" if plan.refill_ms is None else f"{plan.refill_ms / 1000:.2f} s when last measured"
    fills = any(move.prepare for move in plan.moves)
    return f"filling images from PostgreSQL: {measured}" + ("" if fills else "; not needed on this way")
