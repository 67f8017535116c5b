#!/bin/sh
# `make redis`: the pause that redis's BGSAVE makes for its fork (latest_fork_usec), 256 MiB of data, the same redis-server on
# Debian's Linux and on Pleat, one boot each on the same machine under icount, where a microsecond is a thousand
# instructions. The saved file has to load again. Leaves target/pleat/logs/redis-{linux,pleat}.log.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

[ -z "$suffix" ] || die "Debian's Linux has pages of 4 KiB: GRANULE=$GRANULE does not compare"
linux=$(scripts/linux.sh)
busybox=$(scripts/debian.sh busybox busybox-static)
root=$(scripts/debian.sh redis redis-server redis-tools)
work=$out/userland
mkdir -p "$work" "$out/logs"
"$cargo_target/release/pack" initramfs "$work/redis-fork.cpio" "bin/busybox=$busybox/bin/busybox" bin/sh@busybox \
    "=$root" etc/redis-fork.sh=scripts/userland/redis-fork.sh
cat "$out/initramfs.cpio" "$work/redis-fork.cpio" >"$work/redis-all.cpio"

# boot KERNEL IMAGE COMMAND-LINE: leaves logs/redis-KERNEL.{log,status}
boot() {
    log=$out/logs/redis-$1.log
    rm -f "$log" "${log%.log}.status"
    status=0
    IMAGE=$2 APPEND="$3 -- busybox sh /etc/redis-fork.sh" LOG=$log scripts/qemu.sh \
        </dev/null >/dev/null 2>"${log%.log}.stderr" || status=$?
    echo "$status" >"${log%.log}.status"
}

# figures KERNEL: its lines, "FOLIOS USEC BYTES"
figures() {
    log=$out/logs/redis-$1.log
    status=$(cat "${log%.log}.status")
    if [ "$status" != 0 ]; then
        tail -n 15 "$log" "${log%.log}.stderr" >&2
        die "$1 failed (QEMU's status: $status); the log is $log"
    fi
    tr -d '\r' <"$log" | sed -n 's/^redis: //p'
}

export INITRD="$work/redis-all.cpio" ICOUNT=1 MEM="${MEM:-2G}" TIMEOUT="${TIMEOUT:-900}"
note "redis on Linux and on Pleat; takes a few minutes"
boot linux "$linux" "console=ttyAMA0 quiet panic=-1 mitigations=off nokaslr init_on_alloc=0" &
boot pleat "$out/Image" "pleat.selftest=off ${APPEND:-}"
wait
figures linux >"$work/redis-linux"
figures pleat >"$work/redis-pleat"
printf '%-8s %8s %24s %8s\n' folios 'MiB used' 'fork, us: Linux   Pleat' ratio
paste -d ' ' "$work/redis-linux" "$work/redis-pleat" |
    awk '{ printf "%-8s %8d %15d %8d %8.1f\n", $1, $3 / 1048576, $2, $5, $2 / $5; n++ } END { exit n != 2 }'
