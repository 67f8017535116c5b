# From apt's source files (one-line and deb822 format): an entry, in deb822 format, for bookworm-backports on the
# mirror that serves bookworm, with the same key; "configured" if a source has that suite already; else nothing.

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
    if (configured) {
        print "configured"
    } else if (mirror != "") {
        print "Types: deb\nURIs: " mirror "\nSuites: bookworm-backports\nComponents: main"
        if (signed_by != "") print "Signed-By: " signed_by
    }
}

function stanza_end(   i, n, suite, uri) {
    if (value["types"] ~ /(^| )deb( |$)/ && value["enabled"] !~ /no/) {
        split(value["uris"], uri, " ")
        n = split(value["suites"], suite, " ")
        for (i = 1; i <= n; i++) source(uri[1], suite[i], value["signed-by"])
    }
    split("", value)
}

function source(uri, suite, key) {
    gsub(/^[ \t]+|[ \t]+$/, "", key)
    if (suite == "bookworm-backports") configured = 1
    if (suite == "bookworm" && mirror == "" && uri !~ /^cdrom:/) {
        mirror = uri
        signed_by = key
    }
}
