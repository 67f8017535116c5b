#!/bin/sh
# qemu.sh: QEMU's command line, its status, and the time limit; check-log.sh and batching.awk on their output.
# shellcheck source=scripts/test/harness.sh
. ./harness.sh

begin "pauth-impdef is for max alone"
fake qemu-system-aarch64 ''
run CPU=cortex-a72 "$scripts/qemu.sh"
expect log '-cpu cortex-a72 '
run "$scripts/qemu.sh"
expect_status 0
expect log '-cpu max,pauth-impdef=on '
end

begin "options reach QEMU"
fake qemu-system-aarch64 ''
run GIC=2 EL2=1 MEM=8G SMP=4 ICOUNT=1 IMAGE=/i INITRD=/r APPEND='a -- b c' "LOG=$box/out/a,b.log" "$scripts/qemu.sh"
expect log '-machine virt,gic-version=2,dtb-randomness=off,virtualization=on '
for option in '-m 8G' '-smp 4' '-icount shift=0,sleep=off' '-kernel /i' '-initrd /r' '-append a -- b c' '-semihosting'; do
    expect log " $option"
done
expect log ',logfile=.*/a,,b.log'
end

begin "what is not asked for stays off"
fake qemu-system-aarch64 ''
run "$scripts/qemu.sh"
for option in virtualization icount append logfile mux -S; do expect_not log "$option"; done
run GDB=1 TIMEOUT=0 "$scripts/qemu.sh"
expect log ' -s -S'
end

begin "the kernel's status comes back"
fake qemu-system-aarch64 'exit 101'
run "$scripts/qemu.sh"
expect_status 101
end

begin "a hang ends with status 124"
fake qemu-system-aarch64 'exec sleep 20'
run TIMEOUT=1 "$scripts/qemu.sh"
expect_status 124
expect output 'no end after 1 s'
end

# Perl stands in for timeout(1) where there is none, and gives the second test a shell that heeds Ctrl-C: one that is
# started in the background cannot.
if command -v perl >/dev/null; then
    begin "without timeout(1), Perl does it"
    rm "$box/bin/timeout"
    fake qemu-system-aarch64 'exec sleep 20'
    run TIMEOUT=1 "$scripts/qemu.sh"
    expect_status 124
    fake qemu-system-aarch64 'exit 7'
    run "$scripts/qemu.sh"
    expect_status 7
    end

    begin "Ctrl-C is a failure although QEMU says it is none"
    # shellcheck disable=SC2016 # for the fake's and Perl's shell
    {
        fake qemu-system-aarch64 'trap "exit 0" INT; kill -INT "$(cat "$box/pid")" $$; sleep 5'
        run perl -e '$SIG{INT} = "DEFAULT"; open F, ">", shift; print F $$; close F; exec @ARGV' \
            "$box/pid" "$scripts/qemu.sh"
    }
    expect_status 130
    end
fi

# log_is STATUS PATTERN LOG [REPORTS]: the log is printf's format
log_is() {
    # shellcheck disable=SC2059 # it is meant to be one
    printf "$3" >"$box/serial"
    run "$scripts/check-log.sh" "$box/serial" "${4:-1}"
    expect_status "$1"
    expect output "$2"
}

first='[0.1] boot\nKTAP version 1\n1..2\nok 1 a\n[0.2] a message\nok 2 b # SKIP no such thing\n'
first="$first"'# Totals: pass:1 fail:0 skip:1 error:0\n'
good='KTAP version 1\n1..1\nok 1 a\n# Totals: pass:1 fail:0\n'

begin "a log with passed reports"
log_is 0 '^2/2$' "$first"
log_is 0 '^2/2, 1/1$' "$first$good" 2
log_is 0 '^1/1$' "$(printf '%s' "$good" | sed 's/\\n/\\r\\n/g')"
log_is 0 '^1/1$' 'KTAP version 1\nok 1 a\n1..1\n# Totals: pass:1 fail:0\n'
end

begin "logs that show a failure, or nothing"
log_is 1 '0 test reports' ''
log_is 1 'expected 2' "$good" 2
log_is 1 '1 of 2' 'KTAP version 1\n1..2\nok 1 a\n# Totals: pass:1 fail:0\n'
log_is 1 '1 of 2' "KTAP version 1\n1..2\nok 1 a\n# Totals: pass:1 fail:0\n$good" 2
log_is 1 'not ok 1 a' 'KTAP version 1\n1..1\nnot ok 1 a\n# Totals: pass:0 fail:1\n'
log_is 1 'not ok 1 a' 'KTAP version 1\n1..1\n    not ok 1 a\nok 1 b\n# Totals: pass:1 fail:0\n'
log_is 1 'fail:1' 'KTAP version 1\n1..1\nok 1 a\n# Totals: pass:1 fail:1\n'
log_is 1 'without a summary' 'KTAP version 1\n1..1\nok 1 a\n'
log_is 1 'without a plan' 'KTAP version 1\nok 1 a\n# Totals: pass:1 fail:0\n'
log_is 1 'panicked' "${good}panicked at x\n"
end

begin "batching on and off, compared"
cat >"$box/on" <<'EOF'
{"op":"fork","folio_kib":4,"region_mib":64,"pages":16384,"instructions":1,"per_page":90.5,"events":{"isb":1}}
{"op":"fork","folio_kib":64,"region_mib":64,"pages":16384,"instructions":1,"per_page":10.5,"events":{"isb":1}}
EOF
cat >"$box/off" <<'EOF'
{"op":"fork","folio_kib":64,"region_mib":64,"pages":16384,"instructions":1,"per_page":42.0,"events":{"isb":1}}
EOF
run awk -f "$scripts/batching.awk" "$box/on" "$box/off"
expect_status 0
expect output '^fork  *64 KiB  *10.5  *42.0  *4.00$'
: >"$box/off"
run awk -f "$scripts/batching.awk" "$box/on" "$box/off"
expect_status 1
end
