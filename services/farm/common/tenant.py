"""Whose records a request is about.

FastAPI reads these annotations, so they are evaluated here and not kept as text.
"""

from typing import Annotated

from fastapi import Depends, Header, HTTPException

REQUIRED = "X-Tenant-Id header is required"
TenantHeader = Annotated[str | None, Header(alias="X-Tenant-Id", include_in_schema=False)]


async def required_tenant(x_tenant_id: TenantHeader = None) -> str:
    """The tenant of the header. Raises 400 when it is missing, empty or no tenant's name."""
    if not x_tenant_id or "\x00" in x_tenant_id:
        raise HTTPException(400, REQUIRED)
    return x_tenant_id


Tenant = Annotated[str, Depends(required_tenant)]
