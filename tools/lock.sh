#!/usr/bin/env bash
# Rewrites requirements/dev.txt from pyproject.toml: newest releases, all their hashes, no index named.
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
