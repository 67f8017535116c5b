#!/bin/sh
# `make lint`: formatting, and clippy without a warning, for the host and for both bare-metal targets.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

clippy() {
    cargo clippy --locked --target-dir "$cargo_target" "$@" -- -D warnings
}

cargo fmt --all --check
clippy --workspace --exclude pleat --all-targets
clippy --target aarch64-unknown-none-softfloat -p paging -p kernel -p pleat
clippy --target aarch64-unknown-none -p user
cargo fmt --all --check --manifest-path tools/referee/Cargo.toml
clippy --manifest-path tools/referee/Cargo.toml --all-targets
# Nobody has to have it.
if command -v shellcheck >/dev/null; then
    shellcheck -x scripts/*.sh scripts/setup/*.sh scripts/test/*.sh .ci/run
fi
