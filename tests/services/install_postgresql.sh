#!/bin/sh
# Debian's PostgreSQL for `make test-services`. Always ends well: without it the tests are skipped and say so.
if command -v initdb > /dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get > /dev/null 2>&1; then
    echo "PostgreSQL is not installed, and this system has no apt-get: install it, or the tests are skipped."
    exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif sudo -n true 2> /dev/null; then
    as_root="sudo -n"
else
    echo "PostgreSQL is not installed, and only root can: sudo apt-get install postgresql. The tests are skipped."
    exit 0
fi
echo "Installing PostgreSQL …"
log=$(mktemp)
# Lists of packages may be missing or old; a network that is not there must not be waited for long.
quick="-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20"
if ! { $as_root apt-get $quick update && $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get $quick install --yes --no-install-recommends postgresql; } > "$log" 2>&1 < /dev/null; then
    echo "PostgreSQL cannot be installed: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")"
fi
rm -f "$log"
exit 0
