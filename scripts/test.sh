#!/bin/sh
# `make test`: what runs on the host, then the boot matrix.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

note "the scripts"
scripts/test/run.sh
note "host tests"
# All but the image itself: that is one program, for one machine.
# PLEAT_SEQUENCES random sequences of operations, and all sequences up to PLEAT_DEPTH: far more than plain `cargo test`.
PLEAT_SEQUENCES=${PLEAT_SEQUENCES:-200000} PLEAT_DEPTH=${PLEAT_DEPTH:-4} \
    cargo test --locked --workspace --exclude pleat --target-dir "$cargo_target" ${V:+--verbose}
# A workspace of its own, for its licence.
cargo test --locked --manifest-path tools/referee/Cargo.toml --target-dir "$cargo_target/referee"
note "boot matrix"
scripts/matrix.sh
