#!/bin/sh
# `make referee`: the kernel's self-tests, utest and a short storm, each store to a table, TLBI and barrier of them held
# against the architecture's rules by the plugin in tools/referee, and what /proc and /sys say of mappings against the
# tables. On a CPU model without any of the newer features, on one with all, and there once more with blocks folded
# without a flush (BBM level 2), unless CPU names one. A boot stops at its first violation, which is printed with what
# led there. As many boots at a time as there are CPUs.
# TRACE=FILE writes every event; the last CPU's remain.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"
# shellcheck source=scripts/lanes.sh
. "$root/scripts/lanes.sh"

# The plugin's status after a violation, and after a program was told what the tables do not say:
# tools/referee/src/qemu/mod.rs.
violation=77
false_claim=78
kernel_args=${APPEND:-}
# Test reports in the log: the self-tests and utest, or the self-tests alone.
if [ -n "${ARGS:-}" ]; then reports=1; else reports=2; fi

mkdir -p "$out/logs"
export ICOUNT=1 TIMEOUT="${TIMEOUT:-400}"
# The oldest model with the granule: the Cortex-A72 has none of 16 KiB.
oldest=cortex-a72
if [ "${GRANULE:-}" = 16k ]; then oldest=neoverse-n1; fi
runs=${CPU:-$oldest max max+pleat.bbm=2}

# watch RUN: one boot under the plugin
watch() {
    ours || return 0
    run=$1
    # A CPU model and, behind a plus, what else the kernel is told.
    cpu=$(printf %s "$run" | tr '+=' '--')
    words=$kernel_args
    case $run in *+*) words="$words ${run#*+}" ;; esac
    # The rules grant what the kernel is told to rely on.
    case " $words " in *" pleat.bbm=2 "*) bbm=2 ;; *) bbm=0 ;; esac
    PLUGIN=$(scripts/plugin.sh "bbm=$bbm" ${TRACE:+"trace=$TRACE"})
    export PLUGIN CPU="${run%%+*}" LOG="$out/logs/referee$suffix-$cpu.log"
    export APPEND="$words -- ${ARGS:-utest , storm --mib=8 --sizes=4,64,2048,block}"
    verdict=$out/logs/referee$suffix-$cpu.verdict
    began=$(date +%s)
    status=0
    scripts/qemu.sh </dev/null >/dev/null 2>"$verdict" || status=$?
    seconds=$(($(date +%s) - began))
    # The verdict is stderr, and there may be more on it: QEMU's own complaints.
    sed "s/^referee: /$cpu: /" "$verdict"
    case $status in
    0) ;;
    "$violation") die "$cpu: a rule was broken, after $seconds s; what ran until then: $LOG" ;;
    "$false_claim") die "$cpu: what a program was told of its memory is not so, after $seconds s; the log is $LOG" ;;
    *) die "$cpu: status $status after $seconds s; the log is $LOG" ;;
    esac
    case "${ARGS:-} $kernel_args " in
    *" pleat.selftest=off "*) tests='no self-tests' ;;
    *) tests=$(scripts/check-log.sh "$LOG" "$reports") || die "$cpu: $tests (the log is $LOG)" ;;
    esac
    grep -q '0 violations' "$verdict" || die "$cpu: the plugin said nothing; was it loaded? ($verdict)"
    # The whole of utest has claims to check.
    if [ -z "${ARGS:-}" ]; then
        grep -q 'claims of programs' "$verdict" || die "$cpu: no program made a claim ($verdict)"
    fi
    printf 'ok %s: tests %s, %s s\n' "$cpu" "$tests" "$seconds"
    verdict passed
}

all() {
    for one in $runs; do watch "$one"; done
}
# Built once, before several ask for it.
scripts/plugin.sh >/dev/null
if [ -n "${TRACE:-}" ]; then JOBS=1; fi
in_lanes "$out/referee" all
all_passed
