#!/bin/sh
# `make guard`: instructions, TLBIs and barriers of the main operations against committed limits, scripts/guard.csv. Boots
# the storm on a CPU model with all features, and for the other way to flush on one without TLBIs by range. Fails with a
# line for each measurement above its limit. The counts are the same on every machine, so the limits are near to them.
#   UPDATE=1   measures and writes the limits anew: what a change made dearer or cheaper is then in its diff
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

[ -z "$suffix" ] || die "the limits are for pages of 4 KiB, not GRANULE=$GRANULE"
limits=${LIMITS:-$root/scripts/guard.csv}

# measure CPU STORM-OPTIONS: one boot; leaves logs/guard-CPU.log and adds it to $logs
logs=
measure() {
    log=$out/logs/guard-$1.log
    rm -f "$log"
    status=0
    CPU=$1 LOG=$log APPEND="pleat.selftest=off ${APPEND:-} -- storm --json --quiet --mib=8 --reps=2 $2" \
        scripts/qemu.sh </dev/null >/dev/null 2>"${log%.log}.stderr" || status=$?
    if [ "$status" != 0 ]; then
        tail -n 15 "$log" "${log%.log}.stderr" >&2
        die "the storm on $1 ended with status $status (the log is $log)"
    fi
    logs="$logs $1=$log"
}

mkdir -p "$out/logs"
export ICOUNT=1 MEM=512M GIC=3 EL2='' SMP=1 TIMEOUT="${TIMEOUT:-300}"
ops=fork,exit,cow,munmap,populate,fork2,mprotect,holes,vmas,small,live
measure max "--sizes=4,64,2048,block --live=16 --ops=$ops"
measure neoverse-n1 "--sizes=64 --ops=fork,exit,munmap,mprotect,cow"

cargo build --quiet --locked --release --target-dir "$cargo_target" -p versus
# shellcheck disable=SC2086 # words
"$cargo_target/release/versus" guard ${UPDATE:+--update} "$limits" $logs
