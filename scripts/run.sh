#!/bin/sh
# `make run`: boot, self-tests, a short fork storm, power off. ARGS replaces the storm: what init is to run.
set -eu
# shellcheck source=scripts/common.sh
. "$(dirname -- "$0")/common.sh"

export LOG="$out/logs/run$suffix.log" ICOUNT=1
kernel_args=${APPEND:-}
export APPEND="$kernel_args -- ${ARGS:-storm --mib=8 --sizes=4,64,2048,block}"
scripts/qemu.sh
case " $kernel_args " in
*" pleat.selftest=off "*) ;;
*) tests=$(scripts/check-log.sh "$LOG") || die "$tests (the log is $LOG)" ;;
esac
