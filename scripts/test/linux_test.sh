#!/bin/sh
# linux.sh: where the Linux to compare with comes from, and what it says where it cannot come.
# shellcheck source=scripts/test/harness.sh
. ./harness.sh

# An arm64 Image as far as its magic number goes.
image() {
    { printf 'MZ%054d' 0; printf 'ARM\144'; } >"$1"
}

# debian VERSION CODENAME KERNEL: apt-get downloads KERNEL's package, which dpkg-deb finds an Image in.
debian() {
    for tool in od head mv cut touch; do ln -s "$(command -v $tool)" "$box/bin/$tool"; done
    printf 'ID=debian\nVERSION_ID="%s"\nVERSION_CODENAME=%s\n' "$1" "$2" >"$box/etc/os-release"
    printf 'deb http://mirror.example/debian %s main\n' "$2" >"$box/etc/apt/sources.list"
    image "$box/vmlinuz"
    echo "$3" >"$box/kernel"
    fake id 'echo somebody'
    # shellcheck disable=SC2016 # for the fakes' shell
    {
        fake apt-get '
            for word; do
                case $word in Dir::Etc::sourcelist=*) cp "${word#*=}" "$box/seen" ;; esac
            done
            case "$*" in *" download "*) touch "$(cat "$box/kernel").deb" ;; esac'
        fake apt-cache 'echo "  Depends: $(cat "$box/kernel")"'
        fake dpkg-deb 'echo "$2"'
        fake tar 'mkdir boot; cp "$box/vmlinuz" boot/vmlinuz-6'
    }
}

begin "Debian 12: Linux from backports, on the machine's own mirror, once"
debian 12 bookworm linux-image-6.12.95+deb12-arm64
run "$scripts/linux.sh"
expect_status 0
expect output "^$box/out/linux/Image$"
expect seen '^URIs: http://mirror.example/debian$'
expect seen '^Suites: bookworm-backports$'
expect log 'apt-get .*Dir::State=.*APT::Architecture=arm64 .*download linux-image-6.12.95+deb12-arm64'
: >"$box/log"
run "$scripts/linux.sh"
expect_status 0
expect_not log apt
end

begin "Debian 13: Linux from the release itself"
debian 13 trixie linux-image-6.12.57+deb13-arm64
run "$scripts/linux.sh"
expect_status 0
expect seen '^Suites: trixie$'
end

begin "a release with an older Linux"
debian 12 bookworm linux-image-6.1.0-40-arm64
run "$scripts/linux.sh"
expect_status 1
expect output 'no kernel of 6.12 or newer'
expect output 'LINUX=path'
[ ! -e "$box/out/linux/Image" ] || fail "an Image is left"
end

begin "a package without an Image leaves nothing"
debian 12 bookworm linux-image-6.12.95+deb12-arm64
echo MZ >"$box/vmlinuz"
run "$scripts/linux.sh"
expect_status 1
expect output 'holds no Image'
[ ! -e "$box/out/linux/Image" ] || fail "an Image is left"
end

begin "no apt: it says what it needs"
run "$scripts/linux.sh"
expect_status 1
expect output 'LINUX=path to an arm64 Image'
end

begin "LINUX= names another Image"
debian 12 bookworm linux-image-6.12.95+deb12-arm64
image "$box/mine"
run "LINUX=$box/mine" "$scripts/linux.sh"
expect_status 0
expect output "^$box/mine$"
expect_not log apt
echo MZ >"$box/mine"
run "LINUX=$box/mine" "$scripts/linux.sh"
expect_status 1
expect output 'not an uncompressed arm64 Image'
end
