# awk -f batching.awk bench.jsonl bench-batch-off.jsonl: what batching saves, in instructions per 4 KiB page.

function number(name) {
    if (!match($0, "\"" name "\": *[0-9.]+")) return ""
    value = substr($0, RSTART, RLENGTH)
    sub(/.*: */, "", value)
    return value
}
{
    op = $0
    sub(/.*"op": *"/, "", op)
    sub(/".*/, "", op)
    key = op SUBSEP number("folio_kib")
}
FNR == NR { batched[key] = number("per_page"); next }
key in batched {
    if (!lines++) {
        print "\nInstructions (icount) per 4 KiB page"
        printf "%-12s %10s %12s %14s %8s\n", "operation", "folio", "batched", "pleat.batch=off", "ratio"
    }
    off = number("per_page")
    ratio = batched[key] + 0 > 0 ? sprintf("%.2f", off / batched[key]) : "-"
    printf "%-12s %6d KiB %12s %14s %8s\n", op, number("folio_kib"), batched[key], off, ratio
    if (op == "fork") forks++
}
END {
    if (!forks) { print "batching.awk: the two runs have no fork in common" > "/dev/stderr"; exit 1 }
}
