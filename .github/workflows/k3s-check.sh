#!/bin/sh
# One more reading for the region `hall` of the Service $1, and then it has $2, of 21.5 °C each; $3 is what
# `synchronous` has to be, if anything. The token is in the file `token`.
set -eu
address=$(kubectl --namespace isotherm get service "$1" --output jsonpath='{.spec.clusterIP}')
bearer="authorization: Bearer $(cat token)"
curl --silent --show-error --fail --retry 30 --retry-all-errors --retry-delay 2 \
    --header "$bearer" --header 'content-type: application/json' \
    --data "{\"device_id\":\"d1\",\"region\":\"hall\",\"temperature_c\":21.5,\"timestamp\":$(date +%s)000}" \
    "http://$address/v1/readings"
for _ in $(seq 30); do
    region=$(curl --silent --header "$bearer" "http://$address/v1/regions/hall" || true)
    count=$(echo "$region" | jq .count || true)
    ready=$(curl --silent "http://$address/readyz" || true)
    test "$count" = "$2" && test "$(echo "$ready" | jq --raw-output .status)" = ready && break
    sleep 2
done
echo "count $count; $ready"
test "$count" = "$2"
test "$(echo "$region" | jq .average_c)" = 21.5
test "$(echo "$ready" | jq --raw-output .status)" = ready
test -z "${3-}" || test "$(echo "$ready" | jq --raw-output .synchronous)" = "$3"
