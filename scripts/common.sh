# shellcheck shell=sh
# What the scripts in this directory share; each sources it first. Sets:
#   root         the work tree, which becomes the current directory
#   out          where images, logs and set-up stamps go
#   cargo_target cargo's own output; CARGO_TARGET_DIR moves it as usual
#   suffix       what is appended to the names of what depends on GRANULE: nothing for 4k, else -16k or -64k
#   features     the features of the package pleat that choose GRANULE
#   block_kib    KiB in a contpte block
# and makes cargo use the toolchain that setup.sh chose.
# shellcheck disable=SC2034 # for those who source it

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1
out=${PLEAT_OUT:-$root/target/pleat}
cargo_target=${CARGO_TARGET_DIR:-$root/target}

# Cargo where rustup puts it, for shells that have not read its env file.
PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
export PATH

# The first line of this stamp is the toolchain's name, empty for one that does not come from rustup.
if [ -f "$out/rust" ]; then
    read -r RUSTUP_TOOLCHAIN <"$out/rust" || true
    if [ -n "$RUSTUP_TOOLCHAIN" ]; then export RUSTUP_TOOLCHAIN; else unset RUSTUP_TOOLCHAIN; fi
fi
# These would replace what .cargo/config.toml and the scripts say for the bare-metal targets.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET

# note MESSAGE...: progress, on stderr so that it does not mix with output one may want to redirect.
note() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# die MESSAGE...
die() {
    note "$@"
    exit 1
}

# version_at_least HAVE_MAJOR HAVE_MINOR WANT_MAJOR WANT_MINOR
version_at_least() {
    [ "$1" -gt "$3" ] || { [ "$1" -eq "$3" ] && [ "$2" -ge "$4" ]; }
}

# The translation granule: 4k, 16k or 64k.
suffix=
features=
block_kib=64
case ${GRANULE:-4k} in
4k) ;;
16k | 64k)
    suffix=-$GRANULE
    features=granule-$GRANULE
    block_kib=2048
    ;;
*) die "GRANULE=$GRANULE: a granule is 4k, 16k or 64k" ;;
esac
