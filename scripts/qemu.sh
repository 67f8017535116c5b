#!/bin/sh
# The one place that knows QEMU's command line. Boots an Image and returns QEMU's exit status, which is the kernel's;
# 124 when TIMEOUT ran out, 130 after Ctrl-C. On a terminal, Ctrl-A C switches to QEMU's monitor.
#
# From the environment:
#   CPU=max          -cpu                             GIC=3         version of the interrupt controller: 2 or 3
#   MEM=512M         -m                               EL2=          1: enter the kernel at EL2
#   SMP=1            -smp                             ICOUNT=       1: an instruction is a nanosecond
#   IMAGE=, INITRD=  the files; target/pleat/...      TIMEOUT=120   seconds; 0: none
#   GRANULE=4k       which Image: 4k, 16k or 64k
#   APPEND=          the kernel's command line        LOG=          a file that gets the serial output, too
#   GDB=             1: wait for a debugger on :1234  V=            1: print the command
#   GUEST_SIGNALS=   1: Ctrl-C goes to the guest       RTC=          the time of day at the start, with ICOUNT
#   QEMU=            the program, qemu-system-aarch64 PLUGIN=       -plugin; scripts/plugin.sh prints it
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

QEMU=${QEMU:-qemu-system-aarch64}
CPU=${CPU:-max}
TIMEOUT=${TIMEOUT:-120}

# The architected pointer-authentication algorithm takes most of the emulation's time. Only `max` has the option.
case $CPU in max | max,*) CPU=$CPU,pauth-impdef=on ;; esac

# dtb-randomness=off: the same random seed in the device tree each time, so that runs can be compared.
machine=virt,gic-version=${GIC:-3},dtb-randomness=off
if [ "${EL2:-}" = 1 ]; then machine=$machine,virtualization=on; fi

# signal=on lets Ctrl-C end QEMU, unless a shell in the guest is to have it; the monitor shares the line only where somebody can type.
signals=on
if [ -n "${GUEST_SIGNALS:-}" ]; then signals=off; fi
console=stdio,id=console,signal=$signals
monitor=
if [ -t 0 ] && [ -t 1 ]; then
    console=$console,mux=on
    monitor=yes
fi
if [ -n "${LOG:-}" ]; then
    mkdir -p "$(dirname -- "$LOG")"
    # A comma in an option's value is doubled.
    console=$console,logfile=$(printf '%s' "$LOG" | sed 's/,/,,/g')
fi

set -- -machine "$machine" -cpu "$CPU" -m "${MEM:-512M}" -smp "${SMP:-1}" -nodefaults -nographic -no-reboot \
    -chardev "$console" -serial chardev:console -semihosting \
    -kernel "${IMAGE:-$out/Image$suffix}" -initrd "${INITRD:-$out/initramfs.cpio}"
if [ -n "$monitor" ]; then set -- "$@" -mon chardev=console; fi
if [ -n "${APPEND:-}" ]; then set -- "$@" -append "$APPEND"; fi
# sleep=off: virtual time jumps over idle periods instead of waiting for the host's clock. The time of day is virtual
# too, so that a run repeats whenever it is made.
if [ "${ICOUNT:-}" = 1 ]; then set -- "$@" -icount shift=0,sleep=off -rtc "base=${RTC:-2026-01-01T00:00:00},clock=vm"; fi
if [ -n "${PLUGIN:-}" ]; then set -- "$@" -plugin "$PLUGIN"; fi
if [ "${GDB:-}" = 1 ]; then set -- "$@" -s -S; fi

if [ -n "${V:-}" ]; then note "$QEMU $*"; fi

# limited COMMAND...: under a time limit, in the terminal's foreground, so that it gets Ctrl-C and may read.
limited() {
    if [ "$TIMEOUT" = 0 ]; then
        "$@"
    elif timeout --foreground 1 true 2>/dev/null; then
        timeout --foreground -k 5 "$TIMEOUT" "$@"
    elif gtimeout --foreground 1 true 2>/dev/null; then
        gtimeout --foreground -k 5 "$TIMEOUT" "$@"
    else
        # macOS has neither, but Perl. An alarm in QEMU itself would not do: QEMU blocks that signal.
        perl "$root/scripts/timeout.pl" "$TIMEOUT" "$@"
    fi
}

# QEMU calls it success when a signal ends it.
interrupted=
trap 'interrupted=yes' INT
status=0
limited "$QEMU" "$@" || status=$?
if [ -n "$interrupted" ]; then exit 130; fi
if [ "$status" = 124 ]; then note "no end after $TIMEOUT s, stopped (TIMEOUT=seconds changes the limit)"; fi
exit "$status"
