#!/bin/sh
# `make debug`: QEMU stops before the first instruction and waits for a debugger on port 1234.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

debugger=gdb-multiarch
for name in gdb-multiarch aarch64-linux-gnu-gdb aarch64-elf-gdb gdb; do
    if command -v "$name" >/dev/null; then
        debugger=$name
        break
    fi
done
note "waiting for a debugger (Ctrl-C ends QEMU). In another terminal:"
printf "    %s '%s' -ex 'target remote localhost:1234'\n" \
    "$debugger" "$out/pleat$suffix.elf" >&2
GDB=1 TIMEOUT=0 APPEND="${APPEND:-} -- ${ARGS:-storm --mib=8 --sizes=64}" exec scripts/qemu.sh
