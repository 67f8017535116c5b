# shellcheck shell=sh
# Installing on Debian and its kin.
#
# Debian 12 has QEMU 7.2, which will do, but its backports have one that can load plugins with register access, and on
# a machine that has another QEMU package from there already, the plain one conflicts with it. So on Debian 12
# backports come first. They are reached through a temporary copy of the machine's list of sources with one entry
# more, from the mirror the machine uses already; its own list stays as it is.
# shellcheck disable=SC2154 # root comes from setup.sh, missing from packages.sh

apt_install() {
    etc=${PLEAT_ETC:-/etc}
    sources=$(mktemp -d)
    trap 'rm -rf "$sources"' EXIT
    backports=$(backports_suite)
    # A third-party source that does not answer is no reason to stop: the install tells whether it mattered.
    apt update || note "apt-get update failed; trying with what it has"
    for item in $missing; do
        if [ "$item" = qemu ] && [ -n "$backports" ]; then
            apt_packages "$item" -t "$backports" && continue
            note "not from $backports; trying the release itself"
        fi
        apt_packages "$item" || return 1
    done
}

# apt_packages ITEM [OPTION...]
apt_packages() {
    names=$(package_names "$1")
    shift
    # shellcheck disable=SC2086 # package names are words
    apt install --no-install-recommends "$@" $names
}

apt() {
    command=$1
    shift
    set -- -q -y -o DPkg::Lock::Timeout=120 "$command" "$@"
    if [ -n "$backports" ]; then set -- -o "Dir::Etc::sourceparts=$sources" "$@"; fi
    # dpkg insists on the sbin directories, which `su` without `-` leaves out.
    as_root env DEBIAN_FRONTEND=noninteractive "PATH=$PATH:/usr/sbin:/sbin" apt-get "$@"
}

# Debian 12: fills $sources and prints the suite's name. Elsewhere, or without a mirror to take it from: nothing.
backports_suite() {
    grep -q '^ID=debian' "$etc/os-release" && grep -q '^VERSION_ID="\{0,1\}12"\{0,1\}$' "$etc/os-release" || return 0
    set -- "$etc/apt/sources.list" "$etc"/apt/sources.list.d/*.list "$etc"/apt/sources.list.d/*.sources
    for file; do
        shift
        if [ -f "$file" ]; then set -- "$@" "$file"; fi
    done
    [ $# -gt 0 ] || return 0
    entry=$(awk -v base=bookworm -v suite=bookworm-backports -f "$root/scripts/setup/suite.awk" "$@")
    [ -n "$entry" ] || return 0
    for file; do
        case $file in "$etc"/apt/sources.list.d/*) cp "$file" "$sources/" ;; esac
    done
    # A second entry for a suite that is there already can contradict the first in its key.
    if [ "$entry" != configured ]; then printf '%s\n' "$entry" >"$sources/pleat-backports.sources"; fi
    printf bookworm-backports
}
