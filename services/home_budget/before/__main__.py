"""`python -m services.home_budget.before`: serve the first version on PORT."""

from __future__ import annotations

import uvicorn

from services.home_budget import settings
from services.home_budget.before.app import app

if __name__ == "__main__":
    uvicorn.run(app, host=settings.host(), port=settings.port(), log_level="warning")
