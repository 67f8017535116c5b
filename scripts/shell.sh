#!/bin/sh
# `make shell`: boots to a shell. That is BusyBox's, from Debian's busybox-static; where it cannot be fetched, our own small
# one. `exit` switches the machine off. What is typed goes to the shell, Ctrl-C and Ctrl-Z too; Ctrl-A X ends QEMU.
#
#   ROOTFS=dir   adds the files of a directory to the root: static programs for arm64, scripts, data
#   RUN=command  runs this one command instead of an interactive shell, for scripts and tests
#   BUSYBOX=     a path: this BusyBox; none: our own shell
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

if [ -z "${BUSYBOX:-}" ]; then
    busybox=$(scripts/debian.sh busybox busybox-static) || note "no BusyBox: this is our own small shell"
    BUSYBOX=$(find "${busybox:-/nonexistent}" -path "*bin/busybox" -type f 2>/dev/null | head -n 1)
fi
set --
case $BUSYBOX in
'' | none) ;;
*) set -- "bin/busybox=$BUSYBOX" bin/sh@busybox ;;
esac
if [ -n "${ROOTFS:-}" ]; then
    [ -d "$ROOTFS" ] || die "ROOTFS=$ROOTFS is not a directory"
    set -- "$@" "=$ROOTFS"
fi
initrd=$out/initramfs.cpio
if [ $# -gt 0 ]; then
    initrd=$out/shell.cpio
    "$cargo_target/release/pack" initramfs "$out/shell-extra.cpio" "$@"
    cat "$out/initramfs.cpio" "$out/shell-extra.cpio" >"$initrd"
fi

# A command without a terminal of its own: its words go behind `--`, so it is passed as a file.
if [ -n "${RUN:-}" ]; then
    mkdir -p "$out/shell-run"
    printf '%s\n' "$RUN" >"$out/shell-run/run.sh"
    "$cargo_target/release/pack" initramfs "$out/shell-run.cpio" "etc/run.sh=$out/shell-run/run.sh"
    cat "$initrd" "$out/shell-run.cpio" >"$out/shell-all.cpio"
    initrd=$out/shell-all.cpio
    command="tty sh -l /etc/run.sh"
else
    command="tty sh -l"
    export TIMEOUT=0
    if [ -t 0 ]; then export GUEST_SIGNALS=1; fi
fi
INITRD=$initrd APPEND="pleat.selftest=off ${APPEND:-} -- $command" exec scripts/qemu.sh
