#!/bin/sh
# The boot matrix: every CPU model boots small and old (GICv2, EL1, 128 MiB) and large and new (GICv3, EL2, 8 GiB).
# The newest boots once more folding without a flush (BBM level 2), and kernels of 16 and 64 KiB granules on one model
# with few features and on one with all.
# A boot passes when the kernel's self-tests, utest and a short storm all do. Then ten thousand forks with memory
# exhausted along the way, after which no frame may be missing, and two boots that have to fail, because a matrix that
# cannot fail shows nothing. Logs: target/pleat/logs.
#
# As many boots at a time as there are CPUs, or JOBS.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"
# shellcheck source=scripts/lanes.sh
. "$root/scripts/lanes.sh"

# By instructions, not by the clock: what a test waits for must not depend on how busy the machine is.
export TIMEOUT="${TIMEOUT:-240}" ICOUNT="${ICOUNT:-1}"
kernel_args=${APPEND:-}

# boot NAME COMMAND-LINE: one boot without input; sets status, seconds and LOG
boot() {
    export LOG="$out/logs/$1.log" APPEND="$kernel_args $2"
    began=$(date +%s)
    status=0
    scripts/qemu.sh </dev/null >/dev/null 2>"$out/logs/$1.stderr" || status=$?
    seconds=$(($(date +%s) - began))
}

# report NAME REASON: REASON is empty for a pass; DETAIL is shown beside the name
report() {
    if [ -z "$2" ]; then
        verdict passed
        printf 'ok %s: %s, %s s\n' "$1" "$detail" "$seconds"
    else
        verdict failed
        printf 'not ok %s: %s, %s s; the log is %s\n' "$1" "$2" "$seconds" "$LOG"
        tail -n 15 "$LOG" "${LOG%.log}.stderr" 2>/dev/null | sed 's/^/    /'
    fi
}

# expect_pass NAME [SIZES [KERNEL-WORDS]]: SIZES are the storm's folios
expect_pass() {
    ours || return 0
    boot "$1" "${3:-} -- utest , storm --mib=4 --sizes=${2:-4,64}"
    # Two reports: the kernel's self-tests and utest.
    detail=$(scripts/check-log.sh "$LOG" 2) && reason= || reason=$detail
    if [ "$status" != 0 ]; then reason="status $status; $reason"; fi
    report "$1" "$reason"
}

# expect_status NAME STATUS COMMAND-LINE
expect_status() {
    ours || return 0
    boot "$1" "$3"
    detail="status $2, as it should"
    reason=
    if [ "$status" != "$2" ]; then reason="status $status instead of $2"; fi
    report "$1" "$reason"
}

# The list.
boots() {
    # The longest comes first, so that no lane waits for it at the end.
    limit=$TIMEOUT
    export CPU=max MEM=128M GIC=3 EL2=1 TIMEOUT=400
    expect_status out-of-memory 0 "pleat.selftest=off -- storm --ops=oom --mib=8 --sizes=64"
    export TIMEOUT="$limit"
    for cpu in cortex-a72 neoverse-n1 neoverse-n2 max; do
        export CPU="$cpu" GIC=2 EL2=0 MEM=128M
        expect_pass "$cpu-gic2-el1-128M"
        export GIC=3 EL2=1 MEM=8G
        expect_pass "$cpu-gic3-el2-8G"
    done
    export MEM=512M EL2=0
    expect_pass max-bbm2 4,64 pleat.bbm=2
    for granule in 16k 64k; do
        export GRANULE="$granule"
        # Small, but 300 processes at once have to fit: with 64 KiB pages each has about 450 KiB of stack and tables.
        export CPU=neoverse-n1 GIC=2 EL2=0
        if [ "$granule" = 64k ]; then export MEM=512M; else export MEM=128M; fi
        expect_pass "$CPU-$granule-gic2-el1-$MEM" "64,2048"
        export CPU=max GIC=3 EL2=1 MEM=8G
        expect_pass "$CPU-$granule-gic3-el2-8G" "64,2048"
    done
    # A CPU without the granule: the kernel says so instead of hanging.
    export CPU=cortex-a72 GRANULE=16k MEM=128M
    expect_status no-such-granule 101 ""
    unset GRANULE
    export CPU=max MEM=512M GIC=3 EL2=1
    expect_status program-missing 127 "pleat.selftest=off -- /bin/no-such-program"
    expect_status selftest-fails 1 "pleat.selftest=fail -- storm --mib=4 --sizes=4"
}

mkdir -p "$out/logs"
note "the kernel for the other granules"
for granule in 16k 64k; do
    GRANULE=$granule scripts/image.sh
done
in_lanes "$out/matrix" boots
all_passed
