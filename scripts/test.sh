#!/bin/sh
# `make test`: what runs on the host, then the boot matrix.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

note "the scripts"
scripts/test/run.sh
note "host tests"
# All but the image itself: that is one program, for one machine.
cargo test --locked --workspace --exclude pleat --target-dir "$cargo_target" ${V:+--verbose}
note "boot matrix"
scripts/matrix.sh
