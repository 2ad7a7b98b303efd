"""`python -m services.home_budget`: serve on PORT, with the settings of the environment and of `.env`."""

from __future__ import annotations

import uvicorn

from outlive.settings import load_dotenv
from services.home_budget import settings

if __name__ == "__main__":
    load_dotenv()
    uvicorn.run(
        "services.home_budget.app:app", host=settings.host(), port=settings.port(), log_level=settings.log_level()
    )
