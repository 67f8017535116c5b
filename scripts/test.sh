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
PLEAT_SEQUENCES=${PLEAT_SEQUENCES:-100000} PLEAT_DEPTH=${PLEAT_DEPTH:-4} \
    cargo test --locked --workspace --exclude pleat --target-dir "$cargo_target" ${V:+--verbose}
# The other granules have the same code over other numbers. A block of 128 or 32 pages of 16 or 64 KiB takes the
# simulated machine that much longer, so the sequences are fewer, and building fast matters more than running fast.
quick=
for package in kernel model paging; do quick="$quick --config profile.test.package.$package.opt-level=1"; done
for granule in 16k 64k; do
    note "host tests, $granule granule"
    # shellcheck disable=SC2086 # words
    PLEAT_SEQUENCES=${PLEAT_SEQUENCES_OTHER:-500} PLEAT_DEPTH=1 \
        cargo $quick test --locked -p paging -p model -p kernel --features "paging/granule-$granule" \
        --target-dir "$cargo_target" ${V:+--verbose}
done
# A workspace of its own, for its licence.
cargo test --locked --manifest-path tools/referee/Cargo.toml --target-dir "$cargo_target/referee"
note "boot matrix"
scripts/matrix.sh
