#!/bin/sh
# `make mutants`: plants the bugs listed in scripts/mutants/mutants.toml, one at a time, in a copy of the sources, and
# checks that each is caught by the host tests or, with BOOT=1, by a boot under the referee. MUTANTS="NAME..." chooses.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

cargo build --quiet --locked --release --target-dir "$cargo_target" -p mutants
# shellcheck disable=SC2086 # names, separated by spaces
exec "$cargo_target/release/mutants" ${BOOT:+--qemu} ${MUTANTS:-}
