"""`python -m services.facts`: serve on PORT, else 8000; `export FILE` and `import FILE`: all facts, there and back."""

from __future__ import annotations

import sys

from services.farm.common.app import serve

if __name__ == "__main__":
    if sys.argv[1:]:
        from services.facts.moving import main

        sys.exit(main(sys.argv[1:]))
    serve("services.facts.api:app", 8000)
