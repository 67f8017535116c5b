#!/bin/sh
# Builds what QEMU is given, and leaves it in target/pleat:
#   Image            the kernel, with its symbol table
#   initramfs.cpio   the EL0 programs, and the files in user/initramfs
#   pleat.elf        the kernel for a debugger
# With GRANULE=16k the kernel is Image-16k and pleat-16k.elf, likewise with 64k. The programs run on all of them.
#
#   image.sh         builds the kernel first
#   image.sh ELF     packs this kernel instead (cargo's runner)
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

# cargo build, with the output directory spelt out: a user's cargo configuration may move it elsewhere.
build() {
    cargo build --locked --target-dir "$cargo_target" ${V:+--verbose} "$@"
}

mkdir -p "$out"
elf=${1:-}
if [ -z "$elf" ]; then
    elf=$cargo_target/aarch64-unknown-none-softfloat/release/pleat
    build --release --target aarch64-unknown-none-softfloat -p pleat ${features:+--features "$features"}
fi
build --release --target aarch64-unknown-none -p user --bins
build --release -p pack

# Each file appears whole, and what a QEMU has open stays: another script may be booting.
pack=$cargo_target/release/pack
programs=$cargo_target/aarch64-unknown-none/release
new=$(mktemp -d "$out/image.XXXXXX")
trap 'rm -rf "$new"' EXIT
"$pack" image "$elf" "$new/Image$suffix"
cp "$elf" "$new/pleat$suffix.elf"
set -- "init=$programs/init"
for program in storm utest fuzz touch echo true sh; do set -- "$@" "bin/$program=$programs/$program"; done
for file in $(cd user/initramfs && find . -type f); do
    set -- "$@" "${file#./}=user/initramfs/$file"
done
"$pack" initramfs "$new/initramfs.cpio" "$@"
mv -f "$new"/* "$out"
