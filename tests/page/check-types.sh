#!/bin/sh
# Checks the types of the page's JavaScript. Installs TypeScript into the folder $1, once for each pinned version.
# Without node or npm: fails with CI=true, else says what is missing.
set -eu
folder=$(dirname "$0")
target=$1
missing=""
command -v node >/dev/null 2>&1 || missing="node"
if ! cmp -s "$folder/package-lock.json" "$target/installed.json"; then
    command -v npm >/dev/null 2>&1 || missing="$missing npm"
    if [ -z "$missing" ]; then
        mkdir -p "$target"
        cp "$folder/package.json" "$folder/package-lock.json" "$target"
        npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
        cp "$folder/package-lock.json" "$target/installed.json"
    fi
fi
if [ -n "$missing" ]; then
    echo "the types of the page's JavaScript were not checked; missing programs: $missing" \
        "(tests/debian-packages.sh installs them on Debian as root)" >&2
    [ "${CI:-}" != true ]
    exit
fi
node "$target/node_modules/typescript/bin/tsc" --project "$folder" --incremental --tsBuildInfoFile "$target/types.tsbuildinfo"
