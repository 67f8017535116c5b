#!/bin/sh
# debian.sh NAME PACKAGE...: prints a directory with what the Debian packages for arm64 contain, and those they depend on:
# target/pleat/debian/NAME. Fetched once, by apt-get, from the mirror that this machine uses already.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"
# shellcheck source=scripts/setup/debian.sh
. scripts/setup/debian.sh

name=$1
shift
here=$out/debian/$name
if [ ! -d "$here" ]; then
    for program in apt-get dpkg-deb; do
        command -v $program >/dev/null || die "$* for arm64 come from Debian, by apt-get, which is not here"
    done
    codename=$(release VERSION_CODENAME)
    [ "$(release ID)" = debian ] || die "this is no Debian, whose packages I know how to reach"
    home=$out/debian/.apt-$name
    apt_begin "$home" "$codename" "$codename" || die "this machine's list of sources has no mirror for $codename"
    note "fetching $* for arm64 from Debian (once)"
    # One update is enough for a day.
    if [ -z "$(find "$out/debian/.lists" -name '*_Packages*' -mtime 0 2>/dev/null | head -n 1)" ]; then
        apt apt-get update >&2 || die "apt-get update failed"
        rm -rf "$out/debian/.lists"
        cp -R "$home/state/lists" "$out/debian/.lists"
    else
        cp -R "$out/debian/.lists/." "$home/state/lists/"
    fi
    apt apt-get -y --download-only --no-install-recommends install "$@" >&2 || die "$* could not be fetched"
    rm -rf "$here.new"
    mkdir -p "$here.new"
    for package in "$home"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$here.new"
        basename "$package" .deb
    done >"$here.versions"
    mv "$here.new" "$here"
    rm -rf "$home"
fi
printf '%s\n' "$here"
