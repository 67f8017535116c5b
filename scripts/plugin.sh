#!/bin/sh
# Builds the QEMU plugin in tools/referee, which is a workspace of its own, and prints what QEMU's -plugin option is to
# say: plugin.sh OPTION... (name=value, see tools/referee/src/options.rs)
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

target=$cargo_target/referee
cargo build --release --locked --quiet --manifest-path tools/referee/Cargo.toml --target-dir "$target" ${V:+--verbose}
case $(uname -s) in
Darwin) plugin=libreferee.dylib ;;
*) plugin=libreferee.so ;;
esac

printf 'file='
# A comma in an option's value is doubled.
for word in "$target/release/$plugin" "elf=$out/pleat$suffix.elf" "$@"; do printf '%s' "$word" | sed 's/,/,,/g; s/$/,/'; done |
    tr -d '\n' | sed 's/,$//'
