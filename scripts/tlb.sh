#!/bin/sh
# `make tlb`: what folios and the contiguous bit save in TLB misses. The plugin in tools/referee simulates two TLBs over
# every instruction fetch and data access of a boot: for one a contiguous block is one entry, for the other 16.
# Workloads: random reads in 64 MiB, of 4 KiB, 64 KiB and 2 MiB folios (all mapped by PTEs), counted while it reads; and the
# fork storm, counted from the first program to the end. Mind that these are misses, not cycles.
#
# L1=48 (entries, fully associative) L2=1280 WAYS=5: the TLB's shape. MIB=64 ACCESSES=1000000: the random reads.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

export ICOUNT=1
report=$out/tlb.txt
mkdir -p "$out/logs"
: >"$report"

# simulate LABEL WINDOW COMMAND...: one boot; the plugin appends a line to the report
simulate() {
    label=$1
    window=$2
    shift 2
    LOG=$out/logs/tlb-$(printf %s "$label" | tr / -).log
    export LOG APPEND="pleat.selftest=off -- $*"
    PLUGIN=$(scripts/plugin.sh mode=reach "window=$window" "label=$label" "report=$report" \
        "l1=${L1:-48}" "l2=${L2:-1280}" "ways=${WAYS:-5}")
    export PLUGIN
    note "$label: $*"
    scripts/qemu.sh </dev/null >/dev/null 2>"$LOG.stderr" ||
        die "$label: status $?; the log is $LOG, see also $LOG.stderr"
}

for folio in 4 64 2048; do
    simulate "random/$folio" marked \
        "touch --mib=${MIB:-64} --accesses=${ACCESSES:-1000000} --folio=$folio"
done
for folio in 4 64 2048; do
    simulate "storm/$folio" user "storm --mib=8 --sizes=$folio"
done

awk '
    BEGIN {
        printf "%-9s %9s %14s %16s %16s %7s\n", "workload", "folio KiB", "instructions",
            "with contiguous", "without", "ratio"
    }
    {
        split($1, name, "/")
        for (i = 2; i <= NF; i++) { split($i, pair, "="); value[pair[1]] = pair[2] }
        n = value["instructions"] / 1000
        if (n == 0) { print $1 ": nothing was counted"; failed = 1; next }
        with = value["misses"] / n
        without = value["misses_ignored"] / n
        printf "%-9s %9s %14s %16.3f %16.3f %7s\n", name[1], name[2], value["instructions"], with, without,
            (with == 0 ? "-" : sprintf("%.2f", without / with))
        lines++
    }
    END {
        print "Misses of both levels per 1000 instructions; the window starts with empty TLBs."
        exit failed || lines != 6
    }' "$report"
