#!/bin/sh
# lanes.sh: every item is done once, whatever the number of lanes, and one without a verdict has failed.
# shellcheck source=scripts/test/harness.sh
. ./harness.sh

# A list of five items; each logs its name. The item $box/bad names fails, the one $box/dies names ends its lane.
listed() {
    # shellcheck disable=SC2016 # for the shell that runs it
    cat >"$box/list.sh" <<'END'
. "$1/lanes.sh"
item() {
    ours || return 0
    echo "did $1" >>"$box/log"
    if [ "$1" = "$dies" ]; then exit 1; fi
    if [ "$1" = "$bad" ]; then verdict failed; else verdict passed; fi
}
list() { for name in a b c d e; do item "$name"; done; }
in_lanes "$box/state" list
all_passed
END
}

for jobs in 1 2 3 9; do
    begin "lanes: $jobs of them do five items once each"
    listed
    run "JOBS=$jobs" "box=$box" bad= dies= sh "$box/list.sh" "$scripts"
    expect_status 0
    expect output '5 passed, 0 failed'
    for name in a b c d e; do
        [ "$(grep -c "did $name" "$box/log")" = 1 ] || failure="$name was not done once"
    done
    end
done

begin "lanes: an item that fails fails all"
listed
run JOBS=2 "box=$box" bad=c dies= sh "$box/list.sh" "$scripts"
expect_status 1
expect output '4 passed, 1 failed'
end

begin "lanes: a lane that ends in the middle leaves a failure, and the others go on"
listed
run JOBS=2 "box=$box" bad= dies=b sh "$box/list.sh" "$scripts"
expect_status 1
expect output '4 passed, 1 failed'
end
