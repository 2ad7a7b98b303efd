"""application-state: a container kept on the application object: `app.state.x`, `app["x"]`, `app.config["X"]`.

app.state.carts = {}

@app.post("/carts")
async def create(request: Request):
    request.app.state.carts[cart_id] = await request.json()
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.resolve import APP_ITEM, APP_STATE, BOT_DATA
from outlive.scan.slots import At, Slot, Sources
from outlive.scan.summary import Bind, Scope

NAME = "application-state"
_OBJECTS = frozenset({"app", "application", "bot", "client", "server", "dp"})


def find(sources: Sources) -> Iterator[Slot]:
    """Containers assigned to an application object; other objects kept there are noted for the resolver."""
    for path, file in sources.files.items():
        for qual, scope in file.scopes.items():
            for bind in _assigned(scope):
                yield from _state(sources, (path, qual), bind)
        yield from _on_object(sources, path)


def _on_object(sources: Sources, path: str) -> Iterator[Slot]:
    """Containers that a module hangs on its application or bot: `bot.balances = {}`."""
    module = sources.files[path].scopes[""]
    made = {bind.target for bind in module.binds if bind.value[0] == "c" and bind.target in _OBJECTS}
    for bind in module.binds:
        name, _, attribute = bind.target.partition(".")
        kind = sources.container((path, ""), bind) if name in made and attribute.isidentifier() else ""
        if kind and (name, attribute) not in sources.resolver.placed:
            sources.resolver.placed.add((name, attribute))
            slot = Slot((path, name, attribute), path, bind.line, bind.end, bind.target, "state", NAME, kind)
            slot.values.append(((path, ""), bind.value))
            yield slot


def _assigned(scope: Scope) -> Iterator[Bind]:
    yield from (bind for bind in scope.binds if "." in bind.target)
    for op in scope.ops:
        if op.how == "set item" and op.key[0] in {"l", "p"} and str(op.key[-1]).isidentifier():
            yield Bind(f"{op.path}['{op.key[-1]}']", op.value, op.line, op.line)


def _state(sources: Sources, at: At, bind: Bind) -> Iterator[Slot]:
    for pattern, owner in ((APP_STATE, "app.state"), (APP_ITEM, "app[]"), (BOT_DATA, "app[]")):
        found = pattern.fullmatch(bind.target)
        if not found:
            continue
        service = sources.service.get(at[0], "")
        kind = sources.container(at, bind)
        if not kind:
            holders = sources.resolver.attributes[("", owner)][found[1]]
            holders.append((f"{at[0]}\0{at[1]}", bind))
            return
        word = "ctx" if ".ctx." in bind.target else "state"
        symbol = f"app.{word}.{found[1]}" if owner == "app.state" else f'app["{found[1]}"]'
        slot = Slot(
            (service, owner, found[1]), at[0], bind.line, bind.end, symbol, "state", NAME, kind, bind.annotation
        )
        slot.values.append((at, bind.value))
        yield slot
        return
