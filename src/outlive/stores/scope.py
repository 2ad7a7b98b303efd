"""Whose records a repository answers for: one tenant's, or every tenant's on purpose.

The repository decides on records; forced row-level security says the same to PostgreSQL (`outlive.postgres.tenancy`).
So a scope's statements begin with one that tells PostgreSQL, for this transaction only, whose rows it may show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from outlive.postgres.drive import Ask
from outlive.postgres.tenancy import ACROSS_ASK, tenant_ask, tenant_text
from outlive.query.values import equal


@dataclass(frozen=True)
class Scope:
    """One tenant, or with `across` all of them."""

    tenant: Any = None
    across: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a record with this tenant belongs to the scope."""
        return self.across or (value is not None and equal(value, self.tenant))

    @property
    def ask(self) -> Ask:
        """The statement that tells PostgreSQL."""
        return ACROSS_ASK if self.across else tenant_ask(tenant_text(self.tenant))
