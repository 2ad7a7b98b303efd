#!/usr/bin/env bash
# Rewrites requirements/dev.txt, bench.txt and bench-scan.txt from pyproject.toml: newest releases, all their hashes, no index named.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/pip" install -q uv
{
    echo "# What a developer and CI install: exact versions with the hashes of every file of each release (Linux, any CPU)."
    echo "# Made by tools/lock.sh from pyproject.toml; do not edit by hand."
    "$work/venv/bin/uv" pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
        --generate-hashes --no-emit-package outlive --no-header --quiet
} >"$work/dev.txt"
mv "$work/dev.txt" requirements/dev.txt
{
    echo "# The drivers of the benchmarks' peers, and what both sides' uvicorn runs on: exact versions with all hashes."
    echo "# What they need beside them is in dev.txt."
    echo "# Made by tools/lock.sh; do not edit by hand."
    printf 'asyncpg>=0.30\nhttptools>=0.6\npsycopg2-binary>=2.9\nuvloop>=0.20\n' | "$work/venv/bin/uv" pip compile - --universal \
        --python-version 3.11 --generate-hashes --no-deps --no-header --no-annotate --quiet
} >"$work/bench.txt"
mv "$work/bench.txt" requirements/bench.txt
{
    echo "# The peer of benchmarks/scan, in an environment of its own: exact versions with all hashes."
    echo "# Made by tools/lock.sh; do not edit by hand."
    echo semgrep | "$work/venv/bin/uv" pip compile - --universal \
        --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet
} >"$work/bench-scan.txt"
mv "$work/bench-scan.txt" requirements/bench-scan.txt
