#!/usr/bin/env bash
# npm run check: types, lint and unit tests. Under 2 minutes; run on every edit.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
[ -x node_modules/.bin/tsc ] || npm ci --no-audit --no-fund --loglevel=error
echo '== types'; tsc -p tsconfig.json; tsc -p agent/tsconfig.json; tsc -p test/tsconfig.json; tsc -p workers/dashboard/ui/tsconfig.json
echo '== lint'; biome lint --error-on-warnings --diagnostic-level=warn .
echo '== unit tests'
mapfile -t files < <(find workers durable-objects schema agent bin test/tidy.test.ts -name '*.test.ts' | sort)
node --disable-warning=ExperimentalWarning --import ./test/support/register.ts --test --test-concurrency=2 --test-reporter="${SKYHOOK_REPORTER:-dot}" "${files[@]}"
