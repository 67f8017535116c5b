#!/bin/sh
# `make bench`: the fork storm over all folio sizes. The tables go to the terminal, the measurements to
#   target/pleat/bench.jsonl             all sizes
#   target/pleat/bench-decay.jsonl       folios of a contpte block: how many stay folded over 100 rounds of forks and writes
#   target/pleat/bench-decay-off.jsonl   the same, page by page and without folding again
#   target/pleat/bench-batch-off.jsonl   folios of a contpte block, copied PTE by PTE; compared with the above at the end
# With another GRANULE: bench-16k.jsonl and so on.
# Instructions are counted with -icount, so the same build gives the same numbers on every machine.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

SIZES=${SIZES:-4,16,64,512,2048,block}
MIB=${MIB:-64}

# Shows a serial console without its `@json` lines; on a terminal, they move a progress line instead.
show() {
    count=0
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        '@json '*)
            count=$((count + 1))
            if [ -t 2 ]; then
                op=${line#*\"op\":\"}
                kib=${line#*\"folio_kib\":}
                printf '\r\033[K  %d measured: %s, %s KiB folios' "$count" "${op%%\"*}" "${kib%%[!0-9]*}" >&2
            fi
            ;;
        *)
            if [ -t 2 ] && [ "$count" -gt 0 ]; then printf '\r\033[K' >&2; fi
            printf '%s\n' "$line"
            ;;
        esac
    done
    if [ -t 2 ] && [ "$count" -gt 0 ]; then printf '\r\033[K' >&2; fi
}

# measure NAME SIZES KERNEL-ARGUMENT...: one boot; leaves NAME.jsonl. STORM: more options of the storm
measure() {
    name=$1
    sizes=$2
    shift 2
    log=$out/logs/$name.log
    rm -f "$out/$name.jsonl" "$out/logs/$name.status"
    {
        status=0
        LOG=$log ICOUNT=1 TIMEOUT=${TIMEOUT:-1200} \
            APPEND="pleat.selftest=off $* ${APPEND:-} -- storm --json --mib=$MIB --sizes=$sizes ${STORM:-}" \
            scripts/qemu.sh </dev/null || status=$?
        echo "$status" >"$out/logs/$name.status"
    } | show
    status=$(cat "$out/logs/$name.status")
    if [ "$status" != 0 ]; then
        note "the storm ended with status $status (the log is $log)"
        exit "$status"
    fi
    "$cargo_target/release/pack" json "$log" "$out/$name.jsonl"
}

mkdir -p "$out/logs"
measure "bench$suffix" "$SIZES"
note "again with $block_kib KiB folios and pleat.batch=off"
measure "bench$suffix-batch-off" "$block_kib" pleat.batch=off
note "do blocks stay folded? 100 rounds of forks and writes, as it is and page by page"
STORM=--ops=decay measure "bench$suffix-decay" "$block_kib"
STORM="--ops=decay --cow=page --reuse=page --refold=never" measure "bench$suffix-decay-off" "$block_kib"
awk -f scripts/batching.awk "$out/bench$suffix.jsonl" "$out/bench$suffix-batch-off.jsonl"
printf '\n%s\n' "$out/bench$suffix.jsonl: $(($(wc -l <"$out/bench$suffix.jsonl"))) measurements"
