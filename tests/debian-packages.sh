#!/bin/sh
# Installs the programs that the end-to-end tests and the type check of the page need, as root on Debian; elsewhere names
# those that are missing. What needs them is then skipped with the reason; with CI=true a skip is a failure.
set -eu
missing=""
for pair in prometheus:prometheus promtool:prometheus \
    prometheus-alertmanager:prometheus-alertmanager amtool:prometheus-alertmanager curl:curl \
    chromium-headless-shell:chromium-headless-shell \
    ip:iproute2 systemd-analyze:systemd shellcheck:shellcheck node:nodejs npm:npm; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# Not on the path of every user. The package alone, without the service: tests start an nginx of their own
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx"
# Debian keeps the server's programs off the path
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null 2>&1 || missing="$missing postgresql"
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing# }" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing Debian packages: $missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "missing programs, what needs them will be skipped; install: $missing" >&2
fi
