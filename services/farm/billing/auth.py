"""Who asks. FastAPI reads these annotations, so they are evaluated here and not kept as text.

With ENVIRONMENT=development every call is allowed. Otherwise a bearer JWT (HS256, JWT_SECRET_KEY) tells `sub`,
`tenant_id` and `roles`; `/v1/enforce` is asked by other services, with SERVICE_KEY in the header X-Service-Key.
"""

import hmac
import os
from dataclasses import dataclass
from typing import Annotated, Any

import jwt
from fastapi import Depends, Header, HTTPException

SUPER, TENANT_ADMIN = "super_admin", "tenant_admin"
DENIED = "Access denied - cannot access this tenant's data"
Bearer = Annotated[str | None, Header(alias="Authorization", include_in_schema=False)]


@dataclass(frozen=True)
class User:
    """`name` is the token's `sub`; `tenant_id` None belongs to no tenant."""

    name: str
    tenant_id: str | None = None
    roles: frozenset[str] = frozenset()

    @property
    def sees_all(self) -> bool:
        """Whether every tenant is theirs."""
        return SUPER in self.roles

    def must_own(self, tenant_id: str) -> None:
        """Raises 403 unless the tenant is theirs."""
        if not self.sees_all and tenant_id != self.tenant_id:
            raise HTTPException(403, DENIED)


DEVELOPER = User("development", None, frozenset({SUPER}))


def in_development() -> bool:
    """Whether every call is allowed."""
    return os.environ.get("ENVIRONMENT", "").strip().lower() == "development"


async def user_of(authorization: Bearer = None) -> User:
    """The bearer. Raises 401 without a valid token, 503 while JWT_SECRET_KEY is not set."""
    if in_development():
        return DEVELOPER
    secret = os.environ.get("JWT_SECRET_KEY", "")
    if not secret:
        raise HTTPException(503, "JWT_SECRET_KEY is not configured")
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unknown("Not authenticated")
    try:
        claims = jwt.decode(
            token.strip(), secret, algorithms=["HS256"], options={"require": ["sub"], "verify_aud": False}
        )
    except jwt.PyJWTError:
        raise _unknown("Invalid or expired token") from None
    return _bearer(claims)


def _bearer(claims: dict[str, Any]) -> User:
    tenant, roles = claims.get("tenant_id"), claims.get("roles")
    named = roles if isinstance(roles, list) else [roles]
    return User(
        str(claims["sub"]),
        tenant if isinstance(tenant, str) and tenant else None,
        frozenset(each for each in named if isinstance(each, str)),
    )


def _unknown(text: str) -> HTTPException:
    return HTTPException(401, text, {"WWW-Authenticate": "Bearer"})


CurrentUser = Annotated[User, Depends(user_of)]


async def admin_of(user: CurrentUser) -> User:
    """The bearer, who is an administrator. Raises 403."""
    if not user.roles & {SUPER, TENANT_ADMIN}:
        raise HTTPException(403, f"Access denied - requires role {SUPER} or {TENANT_ADMIN}")
    return user


async def own_tenant(tenant_id: str, user: CurrentUser) -> str:
    """The tenant of the path. Raises 403 unless it is the bearer's."""
    user.must_own(tenant_id)
    return tenant_id


async def a_service(x_service_key: Annotated[str | None, Header(include_in_schema=False)] = None) -> None:
    """Raises 401 unless another service asks, 503 while SERVICE_KEY is not set."""
    if in_development():
        return
    expected = os.environ.get("SERVICE_KEY", "")
    if not expected:
        raise HTTPException(503, "SERVICE_KEY is not configured")
    if not hmac.compare_digest((x_service_key or "").encode(), expected.encode()):
        raise HTTPException(401, "Invalid service key")


Administrator = Annotated[User, Depends(admin_of)]
OwnTenant = Annotated[str, Depends(own_tenant)]
