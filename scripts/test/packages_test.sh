#!/bin/sh
# setup.sh: QEMU and the C compiler by the system's package manager, and who may run it.
# shellcheck source=scripts/test/harness.sh
. ./harness.sh

# without_qemu MANAGER: a machine that lacks QEMU, and a manager that provides it
without_qemu() {
    complete_machine
    mv "$box/bin/qemu-system-aarch64" "$box/qemu"
    # shellcheck disable=SC2016 # for the fake's shell
    [ -z "$1" ] || fake "$1" 'case "$*" in *qemu*) cp "$box/qemu" "$box/bin/qemu-system-aarch64" ;; esac'
    : >"$box/etc/os-release"
}

for line in 'apt-get install --no-install-recommends qemu-system-arm' 'dnf install -y qemu-system-aarch64-core' \
    'pacman -S --needed --noconfirm qemu-system-aarch64' 'apk add qemu-system-aarch64' \
    'zypper --non-interactive install --no-recommends qemu-arm'; do
    manager=${line%% *}
    begin "root: $manager"
    without_qemu "$manager"
    run "$scripts/setup.sh"
    expect_status 0
    expect log "^$manager .*${line#* }"
    expect out/qemu 'bin/qemu-system-aarch64$'
    end
done

begin "pacman without package lists fetches them"
without_qemu ''
# shellcheck disable=SC2016 # for the fake's shell
fake pacman '[ "$1" = -Sy ] && cp "$box/qemu" "$box/bin/qemu-system-aarch64"'
run "$scripts/setup.sh"
expect_status 0
end

begin "a missing C compiler comes with its library"
complete_machine
rm "$box/bin/cc"
: >"$box/etc/os-release"
# shellcheck disable=SC2016 # for the fake's shell
fake apt-get 'case "$*" in *gcc*) cp "$box/bin/id" "$box/bin/cc" ;; esac'
run "$scripts/setup.sh"
expect_status 0
expect log 'install --no-install-recommends gcc libc6-dev'
end

begin "not root: sudo"
without_qemu apt-get
echo 1000 >"$box/uid"
# shellcheck disable=SC2016 # for the fake's shell
fake sudo '[ "$1" = -n ] || "$@"'
run "$scripts/setup.sh"
expect_status 0
expect log '^sudo env DEBIAN_FRONTEND=noninteractive .*apt-get .*install .*qemu-system-arm'
end

begin "not root, no sudo: the one command, and nothing done"
without_qemu apt-get
echo 1000 >"$box/uid"
run "$scripts/setup.sh"
expect_status 1
expect output "su -c \"'$scripts/setup.sh' packages\""
expect output 'QEMU (qemu-system-aarch64) 7.2 or newer is missing'
expect_not log 'apt-get'
end

begin "not root, sudo wants a password and nobody is there: the one command"
without_qemu apt-get
echo 1000 >"$box/uid"
fake sudo 'exit 1'
run "$scripts/setup.sh"
expect_status 1
expect output 'su -c'
expect_not log 'apt-get'
end

begin "the one command installs and leaves the work tree alone"
without_qemu apt-get
run "$scripts/setup.sh" packages
expect_status 0
expect log 'install .*qemu-system-arm'
[ -z "$(ls "$box/out")" ] || fail "it wrote stamps"
end

begin "macOS: brew, not as root"
without_qemu brew
echo Darwin >"$box/system"
echo 501 >"$box/uid"
fake sudo ''
run "$scripts/setup.sh"
expect_status 0
expect log '^brew install qemu'
expect_not log 'sudo'
end

begin "macOS without brew"
without_qemu ''
echo Darwin >"$box/system"
run "$scripts/setup.sh"
expect_status 1
expect output 'QEMU (qemu-system-aarch64) 7.2 or newer is missing'
end

begin "macOS without a compiler"
complete_machine
rm "$box/bin/cc"
echo Darwin >"$box/system"
run "$scripts/setup.sh"
expect_status 1
expect output 'xcode-select --install'
end

for system in Linux Plan9; do
    begin "unknown system: $system without a manager we know"
    without_qemu ''
    rm "$box/bin/cc"
    echo $system >"$box/system"
    run "$scripts/setup.sh"
    expect_status 1
    expect output '7.2 or newer and a C compiler (.cc.) are missing'
    end
done

begin "a QEMU too old that cannot be replaced"
complete_machine
fake_qemu 6.2.0
: >"$box/etc/os-release"
fake apt-get ''
run "$scripts/setup.sh"
expect_status 1
expect output 'QEMU 7.2 or newer is needed; this system has 6.2'
end

begin "a manager that fails"
without_qemu ''
fake dnf 'exit 1'
run "$scripts/setup.sh"
expect_status 1
expect output 'dnf could not install: qemu-system-aarch64-core'
end
