# awk -v base=bookworm -v suite=bookworm-backports [-v always=1] -f suite.awk FILE...
# From apt's source files (one-line and deb822 format): an entry, in deb822 format, for `suite` on the mirror that serves
# `base`, with the same key; without `always`, "configured" if a source has `suite` already; else nothing.

FNR == 1 { stanza_end() }
/^[ \t]*#/ { next }

FILENAME !~ /\.sources$/ && $1 == "deb" {
    line = $0
    key = ""
    if (match(line, /\[[^]]*\]/)) {
        options = substr(line, RSTART + 1, RLENGTH - 2)
        if (match(options, /signed-by=[^ ]*/)) key = substr(options, RSTART + 10, RLENGTH - 10)
        sub(/\[[^]]*\]/, "", line)
    }
    split(line, word, " ")
    source(word[2], word[3], key)
}

FILENAME ~ /\.sources$/ {
    if ($0 ~ /^[ \t]*$/) {
        stanza_end()
    } else if (match($0, /^[A-Za-z-]+:/)) {
        field = tolower(substr($0, 1, RLENGTH - 1))
        value[field] = substr($0, RLENGTH + 1)
    } else {
        # A continued line; only an inlined key has them, and that we cannot name.
        value[field] = value[field] " "
        if (field == "signed-by") value[field] = ""
    }
}

END {
    stanza_end()
    if (configured && !always) {
        print "configured"
    } else if (mirror != "") {
        print "Types: deb\nURIs: " mirror "\nSuites: " suite "\nComponents: main"
        if (signed_by != "") print "Signed-By: " signed_by
    }
}

function stanza_end(   i, n, name, uri) {
    if (value["types"] ~ /(^| )deb( |$)/ && value["enabled"] !~ /no/) {
        split(value["uris"], uri, " ")
        n = split(value["suites"], name, " ")
        for (i = 1; i <= n; i++) source(uri[1], name[i], value["signed-by"])
    }
    split("", value)
}

function source(uri, name, key) {
    gsub(/^[ \t]+|[ \t]+$/, "", key)
    if (name == suite) configured = 1
    if (name == base && mirror == "" && uri !~ /^cdrom:/) {
        mirror = uri
        signed_by = key
    }
}
