# shellcheck shell=sh
# For the tests of the scripts. `begin NAME` starts a test in a fresh sandbox:
#   $box/bin    the whole PATH: fakes, and links to the few harmless tools that the scripts use
#   $box/log    what the fakes were called with
#   $box/out    stands for target/pleat
#   $box/etc    stands for /etc
# `run COMMAND...` runs a command in it; `expect_...` check what came of it; `end` gives the verdict.

scripts=$(cd .. && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

begin() {
    name=$1
    failure=
    rm -rf "$box"
    mkdir -p "$box/bin" "$box/out" "$box/etc/apt/sources.list.d" "$box/home" "$box/tmp" "$box/toolchains"
    : >"$box/log"
    for tool in awk cat cksum cp dirname env grep mkdir mktemp perl rm sed sh sleep timeout tr; do
        path=$(command -v "$tool") && ln -s "$path" "$box/bin/$tool"
    done
}

# fake NAME BODY: a program of this name, which logs its call and then runs BODY
fake() {
    # shellcheck disable=SC2016 # for the fake's shell
    {
        printf '#!/bin/sh\nbox=%s\nprintf "%%s\\n" "%s $*" >>"$box/log"\n' "$box" "$1"
        printf '%s\n' "$2"
    } >"$box/bin/$1"
    chmod +x "$box/bin/$1"
}

# run COMMAND...: sets status; its output is in $box/output
run() {
    status=0
    env -i "PATH=$box/bin" "HOME=$box/home" "TMPDIR=$box/tmp" "PLEAT_OUT=$box/out" "PLEAT_ETC=$box/etc" "$@" \
        >"$box/output" 2>&1 </dev/null || status=$?
}

fail() {
    failure=${failure:-$1}
}

expect_status() {
    [ "$status" = "$1" ] || fail "status $status instead of $1"
}

# expect FILE PATTERN: a line of $box/FILE matches
expect() {
    grep -q -e "$2" "$box/$1" || fail "no '$2' in $1"
}

expect_not() {
    ! grep -q -e "$2" "$box/$1" || fail "'$2' in $1"
}

end() {
    if [ -z "$failure" ]; then
        echo "ok $name" | tee -a "$RESULTS"
    else
        echo "not ok $name: $failure" | tee -a "$RESULTS"
        sed 's/^/    log: /' "$box/log"
        sed 's/^/    output: /' "$box/output"
    fi
}

# A toolchain directory with all parts.
toolchain() {
    mkdir -p "$1/bin" "$1/lib/rustlib/aarch64-unknown-none/lib" "$1/lib/rustlib/aarch64-unknown-none-softfloat/lib"
    for program in rustc cargo-fmt cargo-clippy; do
        : >"$1/bin/$program"
        chmod +x "$1/bin/$program"
    done
}

# A machine that has everything: pinned Rust, a C compiler, QEMU 10; user root on Linux, in the middle of nowhere.
complete_machine() {
    toolchain "$box/toolchains/$(pinned)"
    # shellcheck disable=SC2016 # for the fakes' shell
    {
        fake rustup '
            dir=$box/toolchains/$2
            case "$*" in
            "run "*" rustc --print sysroot") [ -d "$dir" ] && echo "$dir" ;;
            "run "*" rustc --version") [ -d "$dir" ] && echo "rustc $(cat "$dir/version") (0123456 2026-01-01)" ;;
            "toolchain install "*) [ ! -f "$box/offline" ] && rm -rf "$box/toolchains/$3" && cp -R "$box/complete" "$box/toolchains/$3" ;;
            esac'
        fake id 'cat "$box/uid"'
        fake uname 'cat "$box/system"'
        fake cc ''
    }
    fake_qemu 10.0.2
    echo 0 >"$box/uid"
    echo Linux >"$box/system"
}

fake_qemu() {
    fake qemu-system-aarch64 "echo 'QEMU emulator version $1 (Somewhere 1:$1)'"
}

# The Rust release that rust-toolchain.toml names.
pinned() {
    sed -n 's/^channel = "\(.*\)"/\1/p' "$scripts/../rust-toolchain.toml"
}
