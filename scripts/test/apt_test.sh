#!/bin/sh
# setup.sh on Debian: backports on Debian 12 and only there, from the machine's own mirror, without a trace.
# shellcheck source=scripts/test/harness.sh
. ./harness.sh

# debian VERSION: lacks QEMU; its apt-get keeps what it saw of the temporary sources in $box/seen.
debian() {
    complete_machine
    mv "$box/bin/qemu-system-aarch64" "$box/qemu"
    printf 'ID=debian\nVERSION_ID="%s"\n' "$1" >"$box/etc/os-release"
    # shellcheck disable=SC2016 # for the fake's shell
    fake apt-get '
        for word; do
            case $word in Dir::Etc::sourceparts=*) cp -R "${word#*=}/." "$box/seen" ;; esac
        done
        case "$*" in
        *" update") [ ! -f "$box/no-update" ] || exit 100 ;;
        *" install "*"-t bookworm-backports"*) [ ! -f "$box/no-backports" ] || exit 100 ;;
        *" install "*) [ ! -f "$box/conflict" ] || exit 100 ;;
        esac
        case "$*" in *qemu-system-arm*) cp "$box/qemu" "$box/bin/qemu-system-aarch64" ;; esac'
}

deb822() {
    cat >"$box/etc/apt/sources.list.d/debian.sources" <<'EOF'
# The mirror
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
EOF
}

# no_trace: the temporary directory is gone and the machine's own sources are what they were
no_trace() {
    [ -z "$(ls "$box/tmp")" ] || fail "a temporary directory is left"
    [ "$(ls "$box/etc/apt/sources.list.d")" = "${1:-debian.sources}" ] || fail "the sources changed"
}

begin "Debian 12: backports first"
debian 12
deb822
run "$scripts/setup.sh"
expect_status 0
expect log 'apt-get .*Dir::Etc::sourceparts=.* update'
expect log 'apt-get .*install --no-install-recommends -t bookworm-backports qemu-system-arm'
[ "$(grep -c ' install ' "$box/log")" = 1 ] || fail "more than one install"
expect seen/pleat-backports.sources '^URIs: *http://mirror.example/debian$'
expect seen/pleat-backports.sources '^Suites: bookworm-backports$'
expect seen/pleat-backports.sources '^Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg$'
expect seen/debian.sources 'bookworm-security'
no_trace
end

begin "Debian 12: the plain package conflicts with one from backports"
debian 12
deb822
: >"$box/conflict"
run "$scripts/setup.sh"
expect_status 0
no_trace
end

begin "Debian 12: backports are gone, so the plain package"
debian 12
deb822
: >"$box/no-backports"
: >"$box/no-update"
run "$scripts/setup.sh"
expect_status 0
expect log 'install --no-install-recommends qemu-system-arm'
no_trace
end

begin "Debian 12: neither installs"
debian 12
deb822
: >"$box/no-backports"
: >"$box/conflict"
run "$scripts/setup.sh"
expect_status 1
expect output 'apt-get could not install: qemu-system-arm'
no_trace
end

begin "Debian 12: sources in the one-line format"
debian 12
cat >"$box/etc/apt/sources.list" <<'EOF'
deb cdrom:[Debian 12]/ bookworm main
# deb http://no.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/debian.gpg] http://list.example/debian bookworm main contrib
EOF
: >"$box/etc/apt/sources.list.d/other.list"
run "$scripts/setup.sh"
expect_status 0
expect seen/pleat-backports.sources '^URIs: *http://list.example/debian$'
expect seen/pleat-backports.sources '^Signed-By: /keys/debian.gpg$'
no_trace other.list
end

begin "Debian 12: backports among the sources already"
debian 12
deb822
printf 'deb http://mirror.example/debian bookworm-backports main\n' >"$box/etc/apt/sources.list.d/backports.list"
run "$scripts/setup.sh"
expect_status 0
expect log '-t bookworm-backports'
[ ! -e "$box/seen/pleat-backports.sources" ] || fail "a second entry"
end

begin "Debian 12: no mirror among the sources"
debian 12
run "$scripts/setup.sh"
expect_status 0
expect_not log 'backports'
end

begin "Debian 13: the plain package"
debian 13
deb822
run "$scripts/setup.sh"
expect_status 0
expect_not log 'backports'
expect_not log 'sourceparts'
end
