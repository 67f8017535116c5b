#!/bin/sh
# `make userland-test`: programs that we did not write, from Debian's packages for arm64: each boots with what it needs and
# runs its list of commands, a line for each. ONLY="busybox redis" runs some; TIMEOUT is for one boot. Leaves
# target/pleat/logs/userland-NAME.log. The exit status says whether all passed.
#
# A list is scripts/userland/NAME.list, read by a shell in the guest: `t SECONDS 'NAME' COMMAND` runs a command, which has
# passed if its status is 0; what it prints is in the log. The first line names the packages.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"
# shellcheck source=scripts/lanes.sh
. "$root/scripts/lanes.sh"

busybox=$(scripts/debian.sh busybox busybox-static)
work=$out/userland
mkdir -p "$work" "$out/logs"
names=
for list in scripts/userland/*.list; do
    name=$(basename "$list" .list)
    case " ${ONLY:-$name} " in *" $name "*) ;; *) continue ;; esac
    names="$names $name"
    packages=$(sed -n '1s/^# packages: *//p' "$list")
    set -- "bin/busybox=$busybox/bin/busybox" bin/sh@busybox "etc/tests=$list" \
        "etc/userland.sh=scripts/userland/guest.sh"
    if [ -n "$packages" ]; then
        # shellcheck disable=SC2086 # package names are words
        packed=$(scripts/debian.sh "$name" $packages)
        set -- "$@" "=$packed"
        note "$name: $(grep -E "^(${packages%% *})_" "$packed.versions" | head -n 1)"
    fi
    "$cargo_target/release/pack" initramfs "$work/$name-extra.cpio" "$@"
    cat "$out/initramfs.cpio" "$work/$name-extra.cpio" >"$work/$name.cpio"
done
[ -n "$names" ] || die "no list is called ${ONLY:-anything}"

# programs NAME: boots the list
programs() {
    ours || return 0
    log=$out/logs/userland-$1.log
    status=0
    INITRD=$work/$1.cpio MEM=${MEM:-1G} TIMEOUT=${TIMEOUT:-300} LOG=$log \
        APPEND="pleat.selftest=off ${APPEND:-} -- tty sh -l /etc/userland.sh" \
        scripts/qemu.sh </dev/null >/dev/null 2>&1 || status=$?
    tr -d '\r' <"$log" | sed -n 's/^userland: \(.*\)$/'"$1"': \1/p'
    if [ "$status" = 0 ]; then
        verdict passed
    else
        verdict failed
        if ! tr -d '\r' <"$log" | grep -q '^userland: end'; then
            echo "$1: did not come to its end (status $status); the log is $log"
        fi
    fi
}

boots() {
    for name in $names; do programs "$name"; done
}
in_lanes "$work/lanes" boots
all_passed
