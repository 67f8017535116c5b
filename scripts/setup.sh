#!/bin/sh
# Installs what Pleat needs beyond git, make and rustup; does nothing, quickly, when all of it is there.
#
#   setup.sh            everything: `make run`, `make test`
#   setup.sh rust       the toolchain alone: `make lint`, `make doc`
#   setup.sh plugins    as without an argument, but a QEMU that loads plugins: `make referee`, `make tlb`
#   setup.sh packages   the system's packages alone, and writes nothing into the work tree: this is the one command
#                       that somebody who is root runs for somebody who is not
#
# It never asks a question. Exit status 1: something is missing that it could not install; it says what.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"
# shellcheck source=scripts/setup/rust.sh
. "$root/scripts/setup/rust.sh"
# shellcheck source=scripts/setup/packages.sh
. "$root/scripts/setup/packages.sh"
# shellcheck source=scripts/setup/plugins.sh
. "$root/scripts/setup/plugins.sh"
# shellcheck source=scripts/setup/apt.sh
. "$root/scripts/setup/apt.sh"

stamp=yes
case ${1:-all} in
all)
    mkdir -p "$out"
    rust_setup
    packages_setup
    ;;
rust)
    mkdir -p "$out"
    rust_setup
    host_linker_setup
    ;;
plugins)
    mkdir -p "$out"
    rust_setup
    plugins_setup
    ;;
packages)
    stamp=no
    packages_setup
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
