#!/bin/sh
# `make compare`: the same benchmark, the same file, on Linux and on Pleat: one boot each, with the same machine, memory
# and options. Prints both and their ratio for each operation and folio size; leaves in target/pleat
#   compare.json   everything measured and the ratios
#   compare.svg    cost per page by folio size, one line per kernel
#   logs/compare-{linux,pleat}.log
# The Linux is Debian's; LINUX=path names another Image (scripts/linux.sh). SIZES, MIB and OPS choose what is measured.
#
# Linux gets what a fair measurement needs: no mitigations, no zeroing that it does not have to do, and 20 seconds of the
# machine's time to settle after it has booted. The benchmark runs there under SCHED_FIFO with reset-on-fork, so that
# fork returns to the parent first, as it does on Pleat.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

[ -z "$suffix" ] || die "Debian's Linux has pages of 4 KiB: GRANULE=$GRANULE does not compare"
linux=$(scripts/linux.sh)
storm="storm --json --settle=20 --mib=${MIB:-64} --sizes=${SIZES:-4,16,64,512,2048,block}"
storm="$storm --reps=${REPS:-3} --ops=${OPS:-fork,exit,cow,munmap,populate,fork2,mprotect,holes,vmas,small}"

# boot KERNEL IMAGE COMMAND-LINE: leaves logs/compare-KERNEL.{log,status}
boot() {
    log=$out/logs/compare-$1.log
    rm -f "$log" "${log%.log}.status"
    status=0
    IMAGE=$2 APPEND="$3 -- $storm" LOG=$log scripts/qemu.sh </dev/null >/dev/null 2>"${log%.log}.stderr" || status=$?
    echo "$status" >"${log%.log}.status"
}

# verdict KERNEL PATTERN: the boot went well, and a line of its log matches
verdict() {
    log=$out/logs/compare-$1.log
    status=$(cat "${log%.log}.status")
    if [ "$status" != 0 ] || ! tr -d '\r' <"$log" | grep -q "$2"; then
        tail -n 15 "$log" "${log%.log}.stderr" >&2
        die "$1 failed (QEMU's status: $status); the log is $log"
    fi
}

mkdir -p "$out/logs"
export ICOUNT=1 MEM="${MEM:-2G}" TIMEOUT="${TIMEOUT:-900}"
note "Linux and Pleat side by side; takes a minute or two"
boot linux "$linux" \
    "console=ttyAMA0 quiet panic=-1 mitigations=off nokaslr init_on_alloc=0 ${LINUX_APPEND:-}" &
boot pleat "$out/Image" "pleat.selftest=off ${APPEND:-}"
wait
verdict linux '^init: status 0$'
verdict pleat '^storm: done, all checks passed$'

cargo build --quiet --locked --release --target-dir "$cargo_target" -p versus
"$cargo_target/release/versus" kernels "$out/logs/compare-linux.log" "$out/logs/compare-pleat.log" \
    "$out/compare.json" "$out/compare.svg"
