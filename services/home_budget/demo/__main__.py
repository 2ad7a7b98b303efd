"""`python -m services.home_budget.demo`; exit status 0 only when no acknowledged write was lost."""

from __future__ import annotations

import sys

from services.home_budget.demo.main import main

if __name__ == "__main__":
    sys.exit(main())
