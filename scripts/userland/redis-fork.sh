# Runs in the guest, on Linux and on Pleat: a redis-server with 256 MiB of data saves it by a forked child, and says
# how long it was away for the fork. Prints "redis: FOLIOS USEC BYTES", and ends with status 0 if the saved file loads.
PATH=/bin:/usr/bin:/sbin:/usr/sbin
mkdir -p /tmp
cd /tmp || exit 1
sizes=/sys/kernel/mm/transparent_hugepage
cli() { redis-cli -s /tmp/redis "$@"; }
wait_for() {
    tries=0
    until eval "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || return 1
        sleep 0.2
    done
}

# measure FOLIOS OPTION...
measure() {
    folios=$1
    shift
    redis-server --port 0 --unixsocket /tmp/redis --dir /tmp --save "" --enable-debug-command yes "$@" >/tmp/log &
    wait_for 'cli ping >/dev/null 2>&1' || return 1
    cli debug populate 250000 key 1000 >/dev/null || return 1
    cli bgsave >/dev/null
    wait_for 'cli info persistence | grep -q rdb_bgsave_in_progress:0' || return 1
    cli info persistence | grep -q rdb_last_bgsave_status:ok || return 1
    usec=$(cli info stats | sed -n 's/^latest_fork_usec:\([0-9]*\).*/\1/p')
    used=$(cli info memory | sed -n 's/^used_memory:\([0-9]*\).*/\1/p')
    cli debug reload nosave >/dev/null && [ "$(cli dbsize)" -ge 250000 ] || return 1
    cli shutdown nosave
    wait
    rm -f dump.rdb
    echo "redis: $folios $usec $used"
}

# redis declines large folios itself, unless told otherwise.
for file in $sizes/hugepages-*/enabled; do echo never >$file; done
measure 4K || exit 1
echo always >$sizes/hugepages-64kB/enabled || exit 1
measure 64K --disable-thp no || exit 1
