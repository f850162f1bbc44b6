#!/bin/bash
# Whether libSQL's server syncs each commit: the readiness of its container. It forgets the setting
# when it is started again, and is not ready then until `durable.sh` has told it once more. The
# image has no curl, but bash.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${ISOTHERM_LIBSQL_ADMIN_PORT:-9090}"
printf 'GET /v1/namespaces/default/config HTTP/1.0\r\nhost: localhost\r\n\r\n' >&3
grep -q '"durability_mode":"strong"' <&3
