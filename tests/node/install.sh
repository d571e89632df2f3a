#!/bin/sh
# Installs the Node packages that tests and `make lint` use into the folder $1, once for each set of pinned versions.
set -eu
folder=$(dirname "$0")
target=$1
cmp -s "$folder/package-lock.json" "$target/installed.json" && exit
mkdir -p "$target"
cp "$folder/package.json" "$folder/package-lock.json" "$target"
npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
cp "$folder/package-lock.json" "$target/installed.json"
