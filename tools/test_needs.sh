#!/usr/bin/env bash
# What the tests need beside the embedded PostgreSQL: a pooler, and the distribution's own PostgreSQL with PostGIS.
# As root with apt it installs what is missing; anybody else gets the exact command.
set -euo pipefail

postgis_package() { apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' | cut -d' ' -f1 | sort -V | tail -1; }

needed=()
command -v pgbouncer >/dev/null || needed+=(pgbouncer)
if ! compgen -G '/usr/share/postgresql/*/extension/postgis.control' >/dev/null; then
    command -v apt-get >/dev/null || { echo "make test: PostGIS is missing; install PostgreSQL with PostGIS 3" >&2; exit 1; }
    [ "$(id -u)" != 0 ] || [ -n "$(postgis_package)" ] || apt-get update -qq
    needed+=("$(postgis_package)")
fi
[ ${#needed[@]} = 0 ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "make test: missing; run as root: apt-get install ${needed[*]}" >&2
    exit 1
fi
echo "make test: installing ${needed[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends "${needed[@]}" >/dev/null 2>&1 ||
    { apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends "${needed[@]}" >/dev/null; }
