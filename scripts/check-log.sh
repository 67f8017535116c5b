#!/bin/sh
# Whether a boot's serial log shows passed tests: check-log.sh LOG [REPORTS]. Prints "N/N" for each report, in order.
#
# The log has to hold that many KTAP reports (at least one); each must have a plan ("1..N") with N passed tests and a summary line
# "# Totals: ... fail:0 ...". A `not ok`, at any indentation, or a panic fails the log whatever else is in it: QEMU's
# exit status alone would miss a kernel that ends early and politely. Status 1: failed, and the reason is printed.
set -eu

tr -d '\r' <"$1" | awk -v wanted="${2:-1}" '
    function bad(why) { if (failure == "") failure = why }
    function report_end() {
        if (!reports) return
        if (plan == "") bad("a report without a plan")
        else if (passed != plan) bad(passed " of " plan " tests passed")
        if (!summary) bad("a report without a summary")
        result = result (result == "" ? "" : ", ") passed "/" plan
    }
    /^KTAP version/ { report_end(); reports++; plan = ""; passed = 0; summary = 0 }
    /^1\.\.[0-9]+$/ { plan = substr($0, 4) + 0 }
    /^ok [0-9]+/ { passed++ }
    /^ *not ok/ { bad($0) }
    /^# Totals:/ { summary = 1; if ($0 !~ / fail:0( |$)/) bad($0) }
    /panicked at|[Kk]ernel panic/ { bad($0) }
    END {
        report_end()
        if (reports < wanted) bad((reports + 0) " test reports, expected " wanted)
        print failure == "" ? result : failure
        exit failure != ""
    }'
