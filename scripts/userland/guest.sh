# Runs the tests in /etc/tests, in the guest. Each gets its own directory, and so many seconds.
failed=0
t() {
    limit=$1
    name=$2
    shift 2
    rm -rf /tmp/test
    mkdir -p /tmp/test
    cd /tmp/test
    if [ "$limit" = 0 ]; then (eval "$@"); else timeout "$limit" sh -c "$*"; fi
    status=$?
    if [ $status = 0 ]; then
        echo "userland: ok $name"
    else
        echo "userland: FAILED $name (status $status)"
        failed=$((failed + 1))
    fi
}
. /etc/tests
echo "userland: end, $failed failed"
exit $((failed > 0))
