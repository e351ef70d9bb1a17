#!/usr/bin/env bash
# npm test: installs what it needs and runs everything. Without root it runs what it can and names what it left out.
# The last lines say how many tests ran: 'N passed, N failed' alone on a line.
set -uo pipefail
cd "$(dirname "$0")/.."
[ -e node_modules/.package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error || exit 1
export PATH="$PWD/node_modules/.bin:$PATH"
node --disable-warning=ExperimentalWarning test/run.ts "$@"
