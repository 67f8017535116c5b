#!/bin/sh
# `make fuzz`: boots to the system call fuzzer. It passes if the kernel neither panics nor hangs nor loses memory, and
# the system works afterwards. Under icount, so a seed repeats exactly.
#   SEED=1          what all is derived from
#   CALLS=200000    system calls to make; SECONDS=N instead: seconds of the guest's time
#   PROCS=6         processes that call at once
#   TIMEOUT=300     seconds of the host's after which it counts as hung
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

seed=${SEED:-1}
amount=--calls=${CALLS:-200000}
if [ -n "${FUZZ_SECONDS:-}" ]; then amount=--seconds=$FUZZ_SECONDS; fi
export LOG="$out/logs/fuzz-$seed$suffix.log" ICOUNT=1 MEM="${MEM:-256M}" TIMEOUT="${TIMEOUT:-300}"
kernel_args=${APPEND:-}
export APPEND="pleat.selftest=off $kernel_args -- fuzz --seed=$seed $amount --procs=${PROCS:-6} ${ARGS:-}"
rm -f "$LOG"
status=0
scripts/qemu.sh </dev/null || status=$?
if [ "$status" = 0 ] && ! grep -q "^fuzz: seed $seed: passed" "$LOG"; then status=1; fi
if [ "$status" != 0 ]; then
    case $status in
    124) why="hung: no end after $TIMEOUT s" ;;
    137) why="hung, or the fuzzer itself was killed" ;;
    101) why="the kernel panicked" ;;
    *) why="status $status" ;;
    esac
    note "seed $seed: $why (the log is $LOG)"
    note "to repeat: make fuzz SEED=$seed ${CALLS:+CALLS=$CALLS }${FUZZ_SECONDS:+SECONDS=$FUZZ_SECONDS }${PROCS:+PROCS=$PROCS }${CPU:+CPU=$CPU }${GRANULE:+GRANULE=$GRANULE }MEM=$MEM"
fi
exit "$status"
