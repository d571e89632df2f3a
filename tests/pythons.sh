#!/bin/sh
# Runs the unit tests, and those of trust in certificates, on newer Pythons, each in an environment of its own beside
# .venv: `make pythons`. A Python is found by its name, as python3.13, also where pyenv has it and does not put it on the
# path. One that is not here is named and left out; that none is here is a failure.
set -eu
cd "$(dirname -- "$0")/.."
tested=""
for version in ${PYTHONS:-3.13 3.14}; do
    unset PYENV_VERSION
    python=python$version
    "$python" -c "" 2>/dev/null || export PYENV_VERSION="$version"
    if ! "$python" -c "" 2>/dev/null; then
        echo "$python is not here: nothing is tested on it" >&2
        continue
    fi
    folder=.venv-$version
    make --no-print-directory VENV="$folder" PYTHON="$python" "$folder/.ready"
    tested="$tested $version"
    "$folder/bin/python" --version
    PYTHONPYCACHEPREFIX="$PWD/$folder/bytecode" "$folder/bin/pytest" --quiet --numprocesses="${JOBS:-4}" \
        --dist=loadfile --no-loadscope-reorder tests/unit tests/integration/test_client_tls.py
done
[ -n "$tested" ]
