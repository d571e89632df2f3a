#!/bin/sh
# Checks the types of the page's JavaScript with the TypeScript that it installs into the folder $1.
# Without node or npm: fails with CI=true, else says what is missing.
set -eu
folder=$(dirname "$0")
target=$1
missing=""
for program in node npm; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
if [ -n "$missing" ]; then
    echo "the types of the page's JavaScript were not checked; missing programs:$missing" \
        "(tests/debian-packages.sh installs them on Debian as root)" >&2
    [ "${CI:-}" != true ]
    exit
fi
"$folder/../node/install.sh" "$target"
node "$target/node_modules/typescript/bin/tsc" --project "$folder" --incremental --tsBuildInfoFile "$target/types.tsbuildinfo"
