#!/bin/sh
# Tests of the scripts: every *_test.sh here, each in its own shell. Fakes stand in for the system's programs, so
# nothing is installed and nothing boots. Ends with "N passed, N failed".
set -eu
cd "$(dirname -- "$0")"

results=$(mktemp)
trap 'rm -f "$results"' EXIT
for file in *_test.sh; do
    # A file that stops early, for whatever reason, is one failure more.
    RESULTS=$results sh "./$file" || echo "not ok $file stopped" | tee -a "$results"
done
passed=$(grep -c '^ok' "$results" || true)
failed=$(grep -c '^not ok' "$results" || true)
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
