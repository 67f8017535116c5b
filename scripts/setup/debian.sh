# shellcheck shell=sh
# Debian's packages for arm64, on a machine of any architecture: apt-get works in a directory of its own, so nothing is
# installed, the machine's own lists stay as they are, and it need not be root. For those who have sourced common.sh.
# shellcheck disable=SC2154 # root comes from there

etc=${PLEAT_ETC:-/etc}

# release FIELD: what /etc/os-release says of it
release() {
    sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$etc/os-release" 2>/dev/null
}

# apt_begin DIRECTORY BASE SUITE: lets `apt` work in DIRECTORY and know nothing but SUITE, on the mirror that serves BASE.
# Fails if this machine's sources have none.
apt_begin() {
    apt_home=$1
    mkdir -p "$apt_home/none" "$apt_home/state/lists/partial" "$apt_home/cache/archives/partial"
    : >"$apt_home/status"
    apt_source "$2" "$3" >"$apt_home/pleat.sources"
    [ -s "$apt_home/pleat.sources" ]
}

# apt PROGRAM ARGUMENT...: one of apt's programs, for arm64.
apt() {
    program=$1
    shift
    "$program" -q -o "Dir::State=$apt_home/state" -o "Dir::State::status=$apt_home/status" \
        -o "Dir::Cache=$apt_home/cache" -o "Dir::Etc::sourcelist=$apt_home/pleat.sources" \
        -o "Dir::Etc::sourceparts=$apt_home/none" -o "Dir::Etc::preferencesparts=$apt_home/none" \
        -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "APT::Sandbox::User=$(id -un)" "$@"
}

# apt_source BASE SUITE: an entry for SUITE on the mirror that serves BASE; nothing if there is none
apt_source() {
    base=$1
    suite=$2
    set --
    for file in "$etc/apt/sources.list" "$etc"/apt/sources.list.d/*.list "$etc"/apt/sources.list.d/*.sources; do
        if [ -f "$file" ]; then set -- "$@" "$file"; fi
    done
    awk -v "base=$base" -v "suite=$suite" -v always=1 -f "$root/scripts/setup/suite.awk" "$@" </dev/null
}
