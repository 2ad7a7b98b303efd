#!/usr/bin/env bash
# Makes .venv complete: pinned dependencies by hash, outlive in editable mode, CPython's own test suite importable.
# As root it installs the Debian packages that are missing; otherwise it says which ones.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf 'setup: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }
is_python() { command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if is_python "$name"; then command -v "$name"; return; fi
    done
    return 1
}

# Root with apt installs what is missing; anybody else gets the exact command.
debian_package() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
    say "installing the Debian package $1"
    apt-get install -y -qq "$1" >/dev/null 2>&1 && return
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" >/dev/null
}

started_s=$SECONDS
python=$(find_python) || fail "Python 3.11 or newer is missing; on Debian 12 or Ubuntu: apt-get install python3"
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || debian_package "python$minor-venv" ||
        fail "$python cannot make virtual environments; run as root: apt-get install python$minor-venv"
    say "making .venv with Python $minor"
    "$python" -m venv --clear .venv
fi

say "installing $(grep -c '==' requirements/dev.txt) pinned packages"
.venv/bin/python -m pip install -q --require-hashes -r requirements/dev.txt
.venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .

minor=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
.venv/bin/python -c 'import test.mapping_tests' 2>/dev/null || debian_package "libpython$minor-testsuite" ||
    say "CPython's own tests are missing, 'make test' needs them; run as root: apt-get install libpython$minor-testsuite"

touch .venv/.ready
say "ready after $((SECONDS - started_s)) s"
