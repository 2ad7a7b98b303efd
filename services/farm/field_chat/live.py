"""Who listens to which thread in this process. It dies with the process, as the connections do."""

from __future__ import annotations

from collections import defaultdict

from fastapi import WebSocket


class ConnectionManager:
    """Open WebSockets by thread."""

    def __init__(self) -> None:
        self.active_connections: defaultdict[str, set[WebSocket]] = defaultdict(set)

    async def connect(self, thread_id: str, websocket: WebSocket) -> None:
        """Accepts a connection and keeps it."""
        await websocket.accept()
        self.active_connections[thread_id].add(websocket)

    def disconnect(self, thread_id: str, websocket: WebSocket) -> None:
        """Forgets a connection."""
        self.active_connections[thread_id].discard(websocket)
        if not self.active_connections[thread_id]:
            del self.active_connections[thread_id]

    async def broadcast(self, thread_id: str, text: str) -> None:
        """Sends to everybody who listens; who is gone is forgotten."""
        for websocket in list(self.active_connections.get(thread_id, ())):
            try:
                await websocket.send_text(text)
            except (RuntimeError, OSError):
                self.disconnect(thread_id, websocket)
