#!/bin/sh
# Prints the path of a Linux kernel for arm64, as an Image that QEMU boots. LINUX=path names one; otherwise it is
# Debian's, 6.12 or newer, fetched by apt-get from the mirror this machine uses already, and kept in target/pleat/linux.
# apt-get works in a directory of its own there: nothing is installed, the machine's own lists stay as they are, and it
# need not be root. Nothing is fetched again until that directory goes.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

# shellcheck source=scripts/setup/debian.sh
. scripts/setup/debian.sh

here=$out/linux
otherwise='or give one yourself: LINUX=path to an arm64 Image, uncompressed, 6.12 or newer'

# is_image FILE: has the magic number of an arm64 Image (Linux: Documentation/arch/arm64/booting.rst).
is_image() {
    [ "$(od -A n -t x1 -j 56 -N 4 "$1" 2>/dev/null | tr -d ' ')" = 41524d64 ]
}

# The suite that has the kernel, for the release of Debian this is: "base suite".
suites() {
    case "$(release ID) $(release VERSION_ID)" in
    "debian 12") echo bookworm bookworm-backports ;;
    "debian "*) codename=$(release VERSION_CODENAME) && echo "$codename" "$codename" ;;
    esac
}

fetch() {
    for program in apt-get apt-cache dpkg-deb; do
        command -v $program >/dev/null ||
            die "a Linux kernel to compare with comes from Debian, by apt-get, which is not here;" "$otherwise"
    done
    # shellcheck disable=SC2046 # two words
    set -- $(suites)
    [ $# = 2 ] || die "this is no Debian whose packages I know how to reach;" "$otherwise"

    apt_begin "$here/apt" "$1" "$2" || die "this machine's list of sources has no mirror for $1;" "$otherwise"

    note "fetching Debian's kernel for arm64 (about 100 MB, once)"
    apt apt-get update >&2 || die "apt-get update failed;" "$otherwise"
    package=$(apt apt-cache depends linux-image-arm64 | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    version=${package#linux-image-}
    minor=${version#*.}
    version_at_least "${version%%.*}" "${minor%%.*}" 6 12 2>/dev/null ||
        die "$2 has no kernel of 6.12 or newer for arm64 (${package:-none at all});" "$otherwise"
    rm -rf "$here/package"
    mkdir "$here/package"
    (cd "$here/package" && apt apt-get download "$package" >&2) || die "$package could not be fetched;" "$otherwise"
    dpkg-deb --fsys-tarfile "$here"/package/*.deb | (cd "$here/package" && tar -xf - ./boot)
    set -- "$here"/package/boot/vmlinuz-*
    case $(od -A n -t x1 -N 2 "$1" | tr -d ' ') in
    1f8b) gzip -dc "$1" >"$here/Image.new" ;;
    *) cp "$1" "$here/Image.new" ;;
    esac
    is_image "$here/Image.new" || die "$package holds no Image that QEMU boots ($1);" "$otherwise"
    mv "$here/Image.new" "$here/Image"
    rm -rf "$here/package" "$here/apt"
    note "$package is in $here"
}

if [ -n "${LINUX:-}" ]; then
    is_image "$LINUX" || die "LINUX=$LINUX is not an uncompressed arm64 Image"
    image=$LINUX
else
    image=$here/Image
    [ -f "$image" ] || fetch
fi
printf '%s\n' "$image"
