"""The notification service works its outbox off by itself while it runs."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.farm.running import Running, load

PACKAGE = "services.farm.notifications"
LIMIT_S = 30.0


class Provider:
    """Says when it was given something."""

    def __init__(self) -> None:
        self.given = threading.Event()

    async def send(self, address: str, notification: Any, language: str) -> None:
        """Takes whatever comes."""
        self.given.set()


def test_a_running_service_sends_what_is_due(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a provider set before the start, a message goes out without anybody asking."""
    monkeypatch.setenv("OUTLIVE_PHASE", "legacy")
    monkeypatch.setenv("OUTLIVE_HOME", str(tmp_path))
    app = load(PACKAGE, "api").app
    outbox, provider = sys.modules[f"{PACKAGE}.outbox"], Provider()
    monkeypatch.setattr(outbox, "EVERY_S", 0.01)
    monkeypatch.setitem(outbox.senders, "sms", provider)
    with Running(app) as http:
        body = {"type": "system", "title": "T", "title_ar": "", "body": "B", "body_ar": "", "channels": ["sms"]}
        assert http.post("/v1/notifications", json={**body, "target_farmers": ["farmer-1"]}).status_code == 200
        assert provider.given.wait(LIMIT_S)
