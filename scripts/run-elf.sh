#!/bin/sh
# cargo's runner for the bare-metal target: packs the kernel just built and boots it.
#   cargo run --release --target aarch64-unknown-none-softfloat -p pleat [-- KERNEL-COMMAND-LINE]
set -eu
# Cargo names the file relative to its own directory, which common.sh leaves.
elf=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)/${1##*/}
shift
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

scripts/image.sh "$elf"
APPEND=$* exec scripts/qemu.sh
