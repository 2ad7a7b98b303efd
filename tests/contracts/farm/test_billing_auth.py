"""Who may do what in the billing service where it is not in development: tokens, tenants, roles, other services."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.contracts.farm.billing import ENVIRONMENT, PACKAGE, PLAN, TENANT, invoice, pay, plan, subscribe, tharwatt  # noqa: F401
from tests.contracts.farm.conftest import PHASES, in_forms
from tests.contracts.farm.running import Running

pytestmark = in_forms(PHASES[0], PHASES[-1])
SECRET, SERVICE = "a-secret-of-at-least-thirty-two-bytes", "service-key"
DENIED = {"detail": "Access denied - cannot access this tenant's data"}
As = Callable[..., dict[str, Any]]


@pytest.fixture
def guarded(http: Running, monkeypatch: pytest.MonkeyPatch) -> As:
    """Options of a request as a user, once the service is not in development any more."""

    def named(tenant_id: str | None = None, *roles: str, **claims: Any) -> dict[str, Any]:
        monkeypatch.setenv("ENVIRONMENT", "production")
        monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
        monkeypatch.setenv("SERVICE_KEY", SERVICE)
        told = {"sub": "user_1", "tenant_id": tenant_id, "roles": list(roles), "exp": time.time() + 60, **claims}
        told = {name: value for name, value in told.items() if value is not None}
        return {"headers": {"Authorization": f"Bearer {jwt.encode(told, SECRET, algorithm='HS256')}"}}

    return named


def scoped(tenant: str, invoice_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every request that is about one tenant's data."""
    path = f"/v1/tenants/{tenant}"
    return [
        ("GET", path, {}),
        ("GET", f"{path}/subscription", {}),
        ("PATCH", f"{path}/subscription", {"json": {"billing_cycle": "yearly"}}),
        ("POST", f"{path}/usage", {"json": {"metric": "fields", "quantity": 0}}),
        ("GET", f"{path}/quota", {}),
        ("GET", f"{path}/invoices", {}),
        ("POST", f"{path}/invoices/generate", {}),
        ("GET", f"/v1/invoices/{invoice_id}", {}),
        ("GET", f"/v1/invoices/{invoice_id}/history", {}),
        ("POST", "/v1/payments", {"json": {"invoice_id": invoice_id, "amount": 0, "method": "cash"}}),
        ("GET", f"{path}/payments", {}),
        ("POST", f"{path}/cancel", {}),
    ]


def test_users_see_their_own_tenant_only(http: Running, guarded: As) -> None:
    """The owner and super_admin are answered, everybody else is refused, and nothing of the tenant changes."""
    one, other = subscribe(http), subscribe(http)
    requests = scoped(one, invoice(http, one)["invoice_id"])
    assert {path.replace(one, "{tenant_id}") for _, path, _ in requests if "/tenants/" in path} == {
        path for path in http.get("/openapi.json").json()["paths"] if "/tenants/" in path
    }
    before = http.get(f"/v1/tenants/{one}/subscription").json()
    strangers = [guarded(other, "farmer"), guarded(other, "tenant_admin"), guarded(None), guarded(one.upper())]
    for stranger in strangers:
        answers = [http.request(method, path, **more, **stranger) for method, path, more in requests]
        assert [(each.status_code, each.json()) for each in answers] == [(403, DENIED)] * len(requests)
    super_admin = guarded(other, "super_admin")
    assert http.get(f"/v1/tenants/{one}/subscription", **super_admin).json() == before
    assert http.get(f"/v1/tenants/{one}/invoices", **super_admin).json()["total"] == 1
    assert http.get(f"/v1/tenants/{one}/payments", **super_admin).json()["total"] == 0
    for user in (guarded(one, "farmer"), super_admin):
        answers = [http.request(method, path, **more, **user) for method, path, more in requests]
        assert [each.status_code for each in answers] == [200] * len(requests)


def test_no_token_no_answer(http: Running, guarded: As) -> None:
    """401 for every request of users without a token that is signed by the key, in time, with HS256 and a subject."""
    one = subscribe(http)
    requests = scoped(one, invoice(http, one)["invoice_id"])
    requests += [
        ("GET", "/v1/plans", {}), ("GET", "/v1/plans/free", {}), ("POST", "/v1/plans", {"json": PLAN}),
        ("POST", "/v1/tenants", {"json": {**TENANT, "plan_id": "free"}}),
        ("GET", "/v1/reports/revenue", {}), ("GET", "/v1/reports/subscriptions", {}),
    ]  # fmt: skip
    guarded()
    for method, path, more in requests:
        answer = http.request(method, path, **more)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    claims = {"sub": "u", "tenant_id": one, "roles": ["super_admin"]}
    tokens = [
        jwt.encode(claims, SECRET[::-1], algorithm="HS256"), jwt.encode(claims, SECRET * 2, algorithm="HS512"),
        jwt.encode({**claims, "exp": time.time() - 60}, SECRET, algorithm="HS256"),
        jwt.encode({"tenant_id": one}, SECRET, algorithm="HS256"), unsigned(claims), "x", "",
    ]  # fmt: skip
    for token in tokens:
        assert http.get(f"/v1/tenants/{one}", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    good = guarded(one)["headers"]["Authorization"]
    assert http.get(f"/v1/tenants/{one}", headers={"Authorization": good.replace("Bearer", "Basic")}).status_code == 401
    assert (
        http.get(f"/v1/tenants/{one}", headers={"Authorization": good.replace("Bearer", "bearer")}).status_code == 200
    )


def unsigned(claims: dict[str, Any]) -> str:
    """A token that says it needs no signature."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def test_plans_and_reports_are_for_administrators(http: Running, guarded: As) -> None:
    """Others are refused; a tenant's administrator reports about the own tenant, super_admin about all."""
    own_plan = plan(http, "Guarded Plan")
    one, other = subscribe(http, own_plan), subscribe(http, own_plan)
    for tenant in (one, other):
        pay(http, invoice(http, tenant)["invoice_id"], 10)
    assert http.get("/v1/reports/revenue").json()["by_plan"][own_plan] == 20
    farmer, admin, boss = guarded(one, "farmer"), guarded(one, "tenant_admin"), guarded(None, "super_admin")
    for method, path, more in (
        ("POST", "/v1/plans", {"json": PLAN}), ("GET", "/v1/reports/revenue", {}),
        ("GET", "/v1/reports/subscriptions", {}),
    ):  # fmt: skip
        assert http.request(method, path, **more, **farmer).status_code == 403
    assert http.get("/v1/plans", **farmer).status_code == 200
    assert http.get("/v1/reports/revenue", **admin).json()["by_plan"] == {own_plan: 10}
    mine = http.get("/v1/reports/subscriptions", **admin).json()
    assert (mine["total_subscriptions"], mine["total_tenants"], mine["mrr_usd"]) == (1, 1, 10)
    assert http.get("/v1/reports/revenue", **boss).json()["by_plan"][own_plan] == 20
    assert http.get("/v1/reports/revenue", **guarded(None, "tenant_admin")).json() == DENIED
    made = http.post("/v1/plans", json={**PLAN, "name": "Admin Made"}, **admin)
    assert made.status_code == 200


def test_history_names_the_user(http: Running, guarded: As) -> None:
    """Who is the token's subject."""
    tenant = subscribe(http)
    user = guarded(tenant, sub="amal")
    due = http.post(f"/v1/tenants/{tenant}/invoices/generate", **user).json()["invoice"]["invoice_id"]
    found = http.get(f"/v1/invoices/{due}/history", **user).json()["history"]
    assert [each["changed_by"] for each in found] == ["amal"]


def test_enforce_is_for_services(http: Running, guarded: As) -> None:
    """With the service key it is answered, without it, or as a user, it is 401; webhooks need their signature alone."""
    tenant = subscribe(http)
    user = guarded(tenant, "super_admin")
    ask = {"params": {"metric": "fields"}}
    for headers in ({}, {"x-service-key": "wrong"}, {"x-service-key": ""}, user["headers"]):
        answer = http.get("/v1/enforce", headers={"x-tenant-id": tenant, **headers}, **ask)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid service key"})
    answer = http.get("/v1/enforce", headers={"x-tenant-id": tenant, "X-Service-Key": SERVICE}, **ask)
    assert (answer.status_code, answer.json()["allowed"]) == (200, True)
    assert tharwatt(http, {"reference": "none", "status": "completed"}).status_code == 404


@pytest.mark.parametrize("environment", ["", "production", "staging", "dev"])
def test_without_keys_nobody_is_let_in(http: Running, environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in development and not configured: 503, whatever the token; health answers."""
    for name in ("JWT_SECRET_KEY", "SERVICE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENVIRONMENT", environment)
    empty = jwt.encode({"sub": "u", "roles": ["super_admin"]}, SECRET, algorithm="HS256")
    assert http.get("/v1/plans", headers={"Authorization": f"Bearer {empty}"}).status_code == 503
    headers = {"x-tenant-id": "t", "X-Service-Key": ""}
    assert http.get("/v1/enforce", params={"metric": "m"}, headers=headers).status_code == 503
    assert http.get("/healthz").status_code == 200


def test_webhooks_without_secrets_refuse_everybody(http: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty secret signs nothing."""
    monkeypatch.delenv("THARWATT_WEBHOOK_SECRET")
    assert tharwatt(http, {"reference": "x", "status": "completed"}, secret="").status_code == 401
