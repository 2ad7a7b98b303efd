"""Whose records a request is about.

FastAPI reads these annotations, so they are evaluated here and not kept as text.
"""

from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException

REQUIRED = "X-Tenant-Id header is required"
TenantHeader = Annotated[str | None, Header(alias="X-Tenant-Id", include_in_schema=False)]


async def required_tenant(x_tenant_id: TenantHeader = None) -> str:
    """The tenant of the header. Raises 400 when it is missing, empty or no tenant's name."""
    if not x_tenant_id or "\x00" in x_tenant_id:
        raise HTTPException(400, REQUIRED)
    return x_tenant_id


Tenant = Annotated[str, Depends(required_tenant)]


def scoped(store: Any, tenant: str | None) -> Any:
    """The store's repository for a tenant; across all where no tenant is asked for, and for the empty name.

    Row-level security knows no empty name, so whoever takes one says it in the key or in a filter: `nameless`.
    """
    return store.repository.for_tenant(tenant) if tenant else store.repository.across_tenants()


def nameless(tenant: str) -> dict[str, str]:
    """The filter that the empty name needs beside `scoped`."""
    return {} if tenant else {"tenant_id": tenant}
