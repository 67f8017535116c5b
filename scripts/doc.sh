#!/bin/sh
# `make doc`: the kernel's documentation, with private items, as it is on its own target.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

target=aarch64-unknown-none-softfloat
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items --target-dir "$cargo_target" \
    --target $target -p paging -p kernel -p pleat
note "open $cargo_target/$target/doc/kernel/index.html"
