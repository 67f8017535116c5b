#!/bin/sh
# `make scale`: does fork stay as cheap? By the page from 1 MiB to 8 GiB, by the child with 1 to 1,000 alive, by the mapping
# with 1 to 10,000 of them: one boot each for the folio sizes. Prints the figures; the chart is target/pleat/scale.svg,
# the measurements scale.jsonl. MIB=1024 where there are no 10 GiB of memory for the machine.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

mib=${MIB:-8192}
log=$out/logs/scale$suffix.log
export ICOUNT=1 MEM="${MEM:-$((mib + mib / 8 + 512))M}" TIMEOUT="${TIMEOUT:-900}"

mkdir -p "$out/logs"
rm -f "$log"
note "up to $mib MiB, ${LIVE:-1000} children and ${VMAS:-10000} mappings, on a machine of $MEM"
status=0
LOG=$log APPEND="pleat.selftest=off ${APPEND:-} -- storm --json --quiet --ops=scale --reps=1 --mib=$mib \
    --live=${LIVE:-1000} --vmas=${VMAS:-10000} --sizes=${SIZES:-4,64,2048}" \
    scripts/qemu.sh </dev/null >/dev/null || status=$?
if [ "$status" != 0 ]; then
    tail -n 15 "$log" >&2
    die "the storm ended with status $status (the log is $log)"
fi
"$cargo_target/release/pack" json "$log" "$out/scale$suffix.jsonl"
cargo build --quiet --locked --release --target-dir "$cargo_target" -p versus
"$cargo_target/release/versus" scale "$log" "$out/scale$suffix.svg"
