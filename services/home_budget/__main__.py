"""`python -m services.home_budget [--accept-stale]`: serve on PORT, with the settings of environment and `.env`.

`--accept-stale`: start from JSON files although PostgreSQL was in charge last and is away; they may be old.
"""

from __future__ import annotations

import argparse

import uvicorn

import outlive
from outlive.settings import load_dotenv
from services.home_budget import settings

if __name__ == "__main__":
    load_dotenv()
    arguments = argparse.ArgumentParser(prog="python -m services.home_budget")
    arguments.add_argument("--accept-stale", action="store_true", help="start from old JSON files without PostgreSQL")
    outlive.configure(accept_stale=arguments.parse_args().accept_stale)
    uvicorn.run(
        "services.home_budget.app:app", host=settings.host(), port=settings.port(), log_level=settings.log_level()
    )
