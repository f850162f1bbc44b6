#!/bin/sh
# Has libSQL's server sync each commit, which it does not by default: without that, a power cut
# takes back readings that have left the journal. The server forgets it whenever it starts, so this
# looks every second.
set -eu
url=${ISOTHERM_LIBSQL_ADMIN:-http://127.0.0.1:9090}/v1/namespaces/default/config
every=${ISOTHERM_EVERY:-1}
# This replaces what it does not name, too: 5 s is the server's own limit on a transaction that
# others wait for.
wanted='{"block_reads":false,"block_writes":false,"txn_timeout_s":5,"durability_mode":"strong"}'

is_strong() {
    curl --silent --fail --max-time 3 "$url" | grep -q '"durability_mode":"strong"'
}

make_strong() {
    curl --silent --fail --max-time 3 --output /dev/null \
        --header 'content-type: application/json' --data "$wanted" "$url"
}

trap 'exit 0' TERM INT
said=
say() {
    [ "$1" = "$said" ] || echo "$1"
    said=$1
}
while :; do
    if is_strong || { make_strong && is_strong; }; then
        say "libSQL syncs each commit"
    else
        say "libSQL can't be told to sync each commit, and is not ready"
    fi
    sleep "$every" &
    wait $!
done
