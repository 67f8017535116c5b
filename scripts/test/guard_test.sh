#!/bin/sh
# guard.sh: what it boots, what it hands to the tool that compares, and what it says when a boot fails.
# shellcheck source=scripts/test/harness.sh
. ./harness.sh

# A QEMU that writes the serial log it is asked for and ends with the status in $box/status, and a tool that answers with
# the one in $box/verdict.
guarded() {
    ln -s "$(command -v tail)" "$box/bin/tail"
    # shellcheck disable=SC2016 # for the fakes' shell
    {
        fake qemu-system-aarch64 '
            for word; do case $word in *logfile=*) echo "a serial log" >"${word##*logfile=}" ;; esac; done
            exit "$(cat "$box/status")"'
        fake cargo ''
        fake versus 'exit "$(cat "$box/verdict")"'
    }
    mkdir -p "$box/target/release"
    mv "$box/bin/versus" "$box/target/release/versus"
    echo "${1:-0}" >"$box/status"
    echo "${2:-0}" >"$box/verdict"
}

begin "guard: two CPU models under icount, against the committed limits"
guarded
run "CARGO_TARGET_DIR=$box/target" "$scripts/guard.sh"
expect_status 0
expect log 'qemu-system-aarch64 .*-cpu max.* storm --json .*-icount shift=0'
expect log 'qemu-system-aarch64 .*-cpu neoverse-n1 .* storm --json .*-icount shift=0'
expect log "versus guard .*/scripts/guard.csv max=$box/out/logs/guard-max.log neoverse-n1=$box/out/logs/guard-neoverse-n1.log\$"
end

begin "guard: a row above its limit fails it"
guarded 0 1
run "CARGO_TARGET_DIR=$box/target" "$scripts/guard.sh"
expect_status 1
end

begin "guard: UPDATE=1 writes the limits"
guarded
run "CARGO_TARGET_DIR=$box/target" "LIMITS=$box/limits.csv" UPDATE=1 "$scripts/guard.sh"
expect_status 0
expect log "versus guard --update $box/limits.csv max="
end

begin "guard: a boot that fails is not compared"
guarded 3
run "CARGO_TARGET_DIR=$box/target" "$scripts/guard.sh"
expect_status 1
expect output 'ended with status 3'
expect output 'a serial log'
expect_not log versus
end

begin "guard: other pages have no limits"
guarded
run "CARGO_TARGET_DIR=$box/target" GRANULE=64k "$scripts/guard.sh"
expect_status 1
expect output 'pages of 4 KiB'
expect_not log qemu
end
