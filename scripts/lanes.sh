# shellcheck shell=sh
# Several boots at a time, for scripts that source this after common.sh. An emulated CPU keeps one of the host's busy, so
# there are as many lanes as the host has CPUs, or JOBS.
#
#   in_lanes DIRECTORY LIST   runs the function LIST in each lane, a subshell; DIRECTORY, emptied first, is where they
#                             agree who does what
#   ours                      in LIST: whether the next of its items is this lane's. The first to come takes it.
#   verdict passed|failed     of that item
#   all_passed                after in_lanes: prints how many did, and whether all
#
# What a lane that came to an untimely end had begun has no verdict, and so has failed.

in_lanes() {
    lanes_state=$1
    rm -rf "$lanes_state"
    mkdir -p "$lanes_state"
    lanes=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)}
    turn=0
    while [ "$lanes" -gt 0 ]; do
        "$2" &
        lanes=$((lanes - 1))
    done
    wait
}

ours() {
    turn=$((turn + 1))
    # One of them makes the directory.
    mkdir "$lanes_state/$turn" 2>/dev/null
}

verdict() {
    echo "$1" >"$lanes_state/$turn/verdict"
}

all_passed() {
    begun=0
    passed=0
    for item in "$lanes_state"/*/; do
        begun=$((begun + 1))
        if grep -qs '^passed$' "$item/verdict"; then passed=$((passed + 1)); fi
    done
    printf '%d passed, %d failed\n' "$passed" "$((begun - passed))"
    [ "$passed" -eq "$begun" ]
}
