"""The chat's API, alike in every phase."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from outlive.postgres.address import Address
from outlive.scan.engine import scan
from tests.contracts.farm.catalogue import SERVICES
from tests.contracts.farm.conftest import in_every_phase
from tests.contracts.farm.running import Running
from tests.contracts.farm.test_lives import Server, serve

__all__ = ["serve"]  # the fixture that starts a service as a process

PACKAGE = "services.farm.field_chat"
THREAD = {
    "thread_id", "tenant_id", "scope_type", "scope_id", "created_by", "title", "is_archived", "message_count",
    "last_message_at", "created_at",
}  # fmt: skip
MESSAGE = {
    "message_id", "thread_id", "sender_id", "text", "attachments", "reply_to_id", "message_type", "created_at",
}  # fmt: skip


def begin(http: Running, tenant: str, **more: Any) -> dict[str, Any]:
    """A thread of the tenant."""
    body = {"tenant_id": tenant, "scope_type": "field", "scope_id": uuid.uuid4().hex, "created_by": "ali", **more}
    answer = http.post("/chat/threads", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def send(http: Running, thread: dict[str, Any], sender: str = "ali", **more: Any) -> Any:
    """The answer to a message."""
    body = {"tenant_id": thread["tenant_id"], "sender_id": sender, **({"text": "مرحبا Hello"} | more)}
    return http.post(f"/chat/threads/{thread['thread_id']}/messages", json=body)


def add(http: Running, thread: dict[str, Any], user: str) -> Any:
    """The answer to a user who is taken in."""
    body = {"tenant_id": thread["tenant_id"], "user_id": user}
    return http.post(f"/chat/threads/{thread['thread_id']}/participants", json=body)


def unread(http: Running, tenant: str, user: str) -> Any:
    """What a user has not read."""
    return http.get("/chat/unread-counts", params={"tenant_id": tenant, "user_id": user}).json()


@in_every_phase
def test_a_scope_has_one_thread(http: Running, tenant: str) -> None:
    """The second time the first one is answered, unchanged; titles are given or follow the scope."""
    made = begin(http, tenant, scope_id="s1")
    assert set(made) == THREAD
    assert made["title"] == "محادثة الحقل | Field Chat"
    assert (made["is_archived"], made["message_count"], made["last_message_at"]) == (False, 0, None)
    assert begin(http, tenant, scope_id="s1", created_by="sara", title="other") == made
    assert begin(http, tenant, scope_type="task")["title"] == "محادثة المهمة | Task Chat"
    assert begin(http, tenant, scope_type="incident", title="Fire")["title"] == "Fire"
    wrong = http.post(
        "/chat/threads", json={"tenant_id": tenant, "scope_type": "x", "scope_id": "s", "created_by": "u"}
    )
    assert wrong.status_code == 400
    assert set(wrong.json()["detail"]) == {"error", "message_ar", "message_en"}
    assert wrong.json()["detail"]["error"] == "invalid_scope_type"


@in_every_phase
def test_a_thread_is_found_by_id_and_by_scope(http: Running, tenant: str) -> None:
    """For its tenant; for others there is none, and what is no id is 422."""
    made = begin(http, tenant, scope_id="s2")
    paths = [f"/chat/threads/{made['thread_id']}", "/chat/threads/by-scope/field/s2"]
    for path in paths:
        assert http.get(path, params={"tenant_id": tenant}).json() == made
        other = http.get(path, params={"tenant_id": "other"})
        assert (other.status_code, other.json()["detail"]["error"]) == (404, "thread_not_found")
        assert http.get(path).status_code == 422
    assert http.get("/chat/threads/x", params={"tenant_id": tenant}).status_code == 422
    nowhere = http.get("/chat/threads/by-scope/x/s2", params={"tenant_id": tenant})
    assert (nowhere.status_code, nowhere.json()["detail"]["error"]) == (404, "thread_not_found")


@in_every_phase
def test_the_empty_tenant_has_nothing(http: Running, tenant: str) -> None:
    """Its lists are empty, it finds no thread, and it cannot begin one."""
    thread = begin(http, tenant)
    path, nobody = f"/chat/threads/{thread['thread_id']}", {"tenant_id": ""}
    assert http.get("/chat/threads", params=nobody).json() == []
    assert http.get("/chat/messages/search", params={**nobody, "q": "ab"}).json() == []
    assert unread(http, "", "ali") == {"total_unread": 0, "threads": {}}
    for asked in (
        http.get(path, params=nobody), http.get("/chat/threads/by-scope/field/s", params=nobody),
        http.get(f"{path}/messages", params=nobody), send(http, {**thread, **nobody}),
        add(http, {**thread, **nobody}, "u"), http.post(f"{path}/archive", params={**nobody, "archived_by": "u"}),
    ):  # fmt: skip
        assert (asked.status_code, asked.json()["detail"]["error"]) == (404, "thread_not_found")
    body = {**nobody, "scope_type": "field", "scope_id": "s", "created_by": "u"}
    assert http.post("/chat/threads", json=body).status_code == 422


@in_every_phase
def test_messages_are_newest_first(http: Running, tenant: str) -> None:
    """Between two times that are not included; their kind follows what they hold."""
    thread = begin(http, tenant)
    sent = [
        send(http, thread).json(), send(http, thread, text=None, attachments=["http://a/1.jpg"]).json(),
        send(http, thread, attachments=["http://a/1.jpg", "http://a/2.jpg"]).json(),
    ]  # fmt: skip
    assert set(sent[0]) == MESSAGE
    assert [each["message_type"] for each in sent] == ["text", "attachment", "mixed"]
    assert (sent[1]["text"], sent[2]["attachments"]) == (None, ["http://a/1.jpg", "http://a/2.jpg"])
    reply = send(http, thread, reply_to_id=sent[0]["message_id"]).json()
    assert reply["reply_to_id"] == sent[0]["message_id"]
    path = f"/chat/threads/{thread['thread_id']}/messages"

    def listed(**query: Any) -> Any:
        return http.get(path, params={"tenant_id": tenant, **query}).json()

    newest = [reply, *sent[::-1]]
    assert listed() == newest
    assert listed(limit=2) == newest[:2]
    assert listed(before=sent[2]["created_at"]) == [sent[1], sent[0]]
    assert listed(after=sent[1]["created_at"]) == [reply, sent[2]]
    naive = dt.datetime.fromisoformat(sent[1]["created_at"]).astimezone(dt.UTC).replace(tzinfo=None).isoformat()
    assert listed(after=naive) == [reply, sent[2]]
    body = http.get(f"/chat/threads/{thread['thread_id']}", params={"tenant_id": tenant}).json()
    assert (body["message_count"], body["last_message_at"]) == (4, reply["created_at"])


@in_every_phase
def test_what_cannot_be_sent(http: Running, tenant: str) -> None:
    """Nothing, into an archived thread, or into one that is not there."""
    thread = begin(http, tenant)
    for more in ({"text": None}, {"text": "  "}, {"text": "", "attachments": []}):
        answer = send(http, thread, **more)
        assert (answer.status_code, answer.json()["detail"]["error"]) == (400, "empty_message")
    missing = send(http, {**thread, "tenant_id": "other"})
    assert (missing.status_code, missing.json()["detail"]["error"]) == (404, "thread_not_found")
    path = f"/chat/threads/{thread['thread_id']}/archive"
    assert http.post(path, params={"tenant_id": tenant}).status_code == 422
    assert http.post(path, params={"tenant_id": tenant, "archived_by": "ali"}).status_code == 200
    answer = send(http, thread)
    assert (answer.status_code, answer.json()["detail"]["error"]) == (400, "thread_archived")
    assert http.get("/chat/threads", params={"tenant_id": tenant}).json() == []


@in_every_phase
def test_threads_are_listed_by_their_last_message(http: Running, tenant: str) -> None:
    """Of a tenant, of a user who takes part, of a scope type; in pages."""
    one, two, three = (begin(http, tenant, scope_type=kind) for kind in ("field", "task", "task"))
    send(http, two)
    send(http, one)
    add(http, three, "sara")

    def listed(**query: Any) -> list[str]:
        found = http.get("/chat/threads", params={"tenant_id": tenant, **query}).json()
        return [each["thread_id"] for each in found]

    ids = [each["thread_id"] for each in (one, two, three)]
    assert listed() == ids
    assert listed(limit=1, offset=1) == ids[1:2]
    assert listed(scope_type="task") == ids[1:]
    assert listed(user_id="sara") == ids[2:]
    assert listed(user_id="nobody") == listed(scope_type="x") == []
    assert listed(user_id="", scope_type="") == ids


@in_every_phase
def test_unread_counts(http: Running, tenant: str) -> None:
    """A message is unread by all who take part but its sender, until they read the thread."""
    thread, other = begin(http, tenant), begin(http, tenant)
    for user in ("sara", "omar", "sara"):
        assert add(http, thread, user).status_code == 200
    add(http, other, "sara")
    send(http, thread)
    send(http, thread, "omar")
    send(http, other)
    here, there = thread["thread_id"], other["thread_id"]
    assert unread(http, tenant, "sara") == {"total_unread": 3, "threads": {here: 2, there: 1}}
    assert unread(http, tenant, "ali") == {"total_unread": 1, "threads": {here: 1}}
    path = f"/chat/threads/{here}/read"
    for user in ("sara", "a stranger"):
        assert http.post(path, params={"tenant_id": tenant}, json={"user_id": user}).status_code == 200
    nowhere = f"/chat/threads/{uuid.uuid4()}"
    assert http.post(f"{nowhere}/read", params={"tenant_id": tenant}, json={"user_id": "sara"}).status_code == 200
    missing = http.delete(f"{nowhere}/participants/sara", params={"tenant_id": tenant})
    assert (missing.status_code, missing.json()["detail"]["error"]) == (404, "participant_not_found")
    assert unread(http, tenant, "sara") == {"total_unread": 1, "threads": {there: 1}}
    gone = f"/chat/threads/{here}/participants/omar"
    assert [http.delete(gone, params={"tenant_id": tenant}).status_code for _ in range(2)] == [200, 404]
    assert http.delete(gone, params={"tenant_id": tenant}).json()["detail"]["error"] == "participant_not_found"
    assert unread(http, tenant, "omar") == {"total_unread": 0, "threads": {}}


@in_every_phase
def test_search(http: Running, tenant: str) -> None:
    """Any case, part of a word, in a thread, by a sender; two letters at least; other tenants' words are not found."""
    one, two = begin(http, tenant), begin(http, tenant)
    send(http, one, text="Fire in the BARN 50%")
    send(http, two, "sara", text="حريق في الحظيرة barn")
    send(http, begin(http, f"{tenant}_x"), text="barn")

    def found(q: str, **query: Any) -> list[str]:
        answer = http.get("/chat/messages/search", params={"tenant_id": tenant, "q": q, **query})
        return [each["sender_id"] for each in answer.json()]

    assert found("barn") == ["sara", "ali"]
    assert found("حريق") == ["sara"]
    assert found("0%") == ["ali"]
    assert found("barn", thread_id=one["thread_id"]) == found("Barn", sender_id="ali") == ["ali"]
    assert http.get("/chat/messages/search", params={"tenant_id": tenant, "q": "b"}).status_code == 422


@in_every_phase
def test_counts_under_concurrency(http: Running, tenant: str) -> None:
    """Of messages that come together none is missed by thread or readers."""
    thread = begin(http, tenant)
    add(http, thread, "sara")
    path = f"/chat/threads/{thread['thread_id']}/messages"
    bodies = [{"tenant_id": tenant, "sender_id": f"u{number}", "text": "x"} for number in range(12)]
    answers = http.together(*(("POST", path, {"json": body}) for body in bodies))
    assert {each.status_code for each in answers} == {200}
    body = http.get(f"/chat/threads/{thread['thread_id']}", params={"tenant_id": tenant}).json()
    assert body["message_count"] == 12
    assert unread(http, tenant, "sara")["total_unread"] == 12


def test_two_processes_miss_no_message(serve: Callable[..., Server], new_database: Callable[..., Address]) -> None:
    """Messages through two processes at once are all counted; who listens gets those of their own process."""
    known = next(each for each in SERVICES if each.name == "field_chat")
    address = new_database().libpq_url()
    one = serve(known, DATABASE_URL=address)
    two = serve(known, DATABASE_URL=address, OUTLIVE_HOME="second")
    with httpx.Client(timeout=30) as http:
        body = {"tenant_id": "t", "scope_type": "field", "scope_id": "s", "created_by": "ali"}
        thread = http.post(f"{one.url}/chat/threads", json=body).json()["thread_id"]
        assert http.post(f"{two.url}/chat/threads", json=body).json()["thread_id"] == thread
        where = f"ws://127.0.0.1:{one.port}/chat/ws/{thread}"
        with connect(where) as first, connect(where) as second:
            for number in range(10):
                url = (one, two)[number % 2].url
                message = {"tenant_id": "t", "sender_id": "sara", "text": f"m{number}"}
                assert http.post(f"{url}/chat/threads/{thread}/messages", json=message).status_code == 200
            for listener in (first, second):
                heard = [json.loads(listener.recv(timeout=10))["message"]["text"] for _ in range(5)]
                assert heard == ["m0", "m2", "m4", "m6", "m8"]
        counts = http.get(f"{one.url}/chat/unread-counts", params={"tenant_id": "t", "user_id": "ali"}).json()
        assert counts["total_unread"] == 10


def test_connections_are_no_store() -> None:
    """The scan calls what the manager holds connection state."""
    folder = Path(__file__).resolve().parents[3] / "services" / "farm" / "field_chat"
    found = {each.symbol: each.cls for each in scan([folder]).findings}
    assert found.get("ConnectionManager.active_connections") == "connection-state"
    assert "store" not in found.values()
