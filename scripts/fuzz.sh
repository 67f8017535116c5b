#!/bin/sh
# `make fuzz`: boots to the system call fuzzer. It passes if the kernel neither panics nor hangs nor loses memory, and
# the system works afterwards. Under icount, so a seed repeats exactly.
#   SEED=1          what all is derived from; several, "1 2 3": a boot each, as many at a time as there are CPUs
#   CALLS=200000    system calls to make; SECONDS=N instead: seconds of the guest's time
#   PROCS=6         processes that call at once
#   TIMEOUT=300     seconds of the host's after which it counts as hung
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"
# shellcheck source=scripts/lanes.sh
. "$root/scripts/lanes.sh"

amount=--calls=${CALLS:-200000}
if [ -n "${FUZZ_SECONDS:-}" ]; then amount=--seconds=$FUZZ_SECONDS; fi
export ICOUNT=1 MEM="${MEM:-256M}" TIMEOUT="${TIMEOUT:-300}"
kernel_args=${APPEND:-}
seeds=${SEED:-1}

# fuzz SEED: one boot; its last line says what came of it
fuzz() {
    ours || return 0
    seed=$1
    export LOG="$out/logs/fuzz-$seed$suffix.log"
    export APPEND="pleat.selftest=off $kernel_args -- fuzz --seed=$seed $amount --procs=${PROCS:-6} ${ARGS:-}"
    rm -f "$LOG"
    status=0
    # One run is watched; of several, what they found is told.
    if [ "$seeds" = "$seed" ]; then
        scripts/qemu.sh </dev/null || status=$?
    else
        scripts/qemu.sh </dev/null >/dev/null 2>&1 || status=$?
        tr -d '\r' <"$LOG" | grep "^fuzz: seed $seed: passed" || true
    fi
    if [ "$status" = 0 ] && ! grep -q "^fuzz: seed $seed: passed" "$LOG"; then status=1; fi
    if [ "$status" = 0 ]; then
        verdict passed
        return
    fi
    verdict failed
    case $status in
    124) why="hung: no end after $TIMEOUT s" ;;
    137) why="hung, or the fuzzer itself was killed" ;;
    101) why="the kernel panicked" ;;
    *) why="status $status" ;;
    esac
    note "seed $seed: $why (the log is $LOG)"
    note "to repeat: make fuzz SEED=$seed ${CALLS:+CALLS=$CALLS }${FUZZ_SECONDS:+SECONDS=$FUZZ_SECONDS }${PROCS:+PROCS=$PROCS }${CPU:+CPU=$CPU }${GRANULE:+GRANULE=$GRANULE }MEM=$MEM"
}

all() {
    for one in $seeds; do fuzz "$one"; done
}
mkdir -p "$out/logs"
in_lanes "$out/fuzz" all
all_passed
