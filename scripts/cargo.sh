#!/bin/sh
# cargo with the toolchain that setup.sh chose: scripts/cargo.sh ARGUMENT...
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"
exec cargo "$@"
