#!/bin/sh
# What takes too long for every run, as root on Debian: `make matrix`, or some of its parts, `make matrix PARTS="units image"`.
#
#   arm64        every package of the daemon's lock has a wheel for 64-bit ARM, too
#   units        the units of systemd, an upgrade and the way back, on Debian 12 and 13
#   image        the image builds twice to the same, and runs
#   pythons      unit and integration tests on the Pythons of Debian 12, 13 and sid (3.11, 3.13, 3.14)
#   prometheus   the end-to-end tests of Prometheus and Alertmanager on the versions of Debian 12 and sid (2.42, 3)
#
# The roots that debootstrap makes are kept in ROOTS. A part that fails does not keep the others from being tried.
set -eu
cd "$(dirname -- "$0")/.."
roots=${ROOTS:-/var/tmp/avi-upgrade-monitor-roots}
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
mounted=""
cleanup() {
    for each in $mounted; do umount "$each"; done
    rm -rf --one-file-system -- "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# root SUITE: makes the root of a Debian, unless it is there.
root() {
    test ! -e "$roots/$1/usr/bin/make" || return 0
    mkdir -p "$roots"
    debootstrap --variant=minbase \
        --include=systemd,systemd-sysv,dbus,python3,python3-venv,curl,make,git,ca-certificates,iproute2 \
        "$1" "$roots/$1" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; return 1; }
}

arm64() {
    for version in 3.11 3.13 3.14; do
        # shellcheck disable=SC2046  # a list of options
        "$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
            --python-version "$version" --implementation cp \
            $(for tag in manylinux2014 manylinux_2_17 manylinux_2_28 manylinux_2_34; do echo "--platform ${tag}_aarch64"; done) \
            --requirement deploy/requirements.txt --dest "$work/arm64-$version" || return 1
        echo "Python $version: $(find "$work/arm64-$version" -name '*_aarch64.whl' | wc -l) wheels for aarch64," \
            "$(find "$work/arm64-$version" -name '*-any.whl' | wc -l) for all machines"
    done
}

units() {
    for suite in bookworm trixie; do
        root "$suite" && PYTHON=$python ROOT=$roots/$suite tests/e2e/nspawn.sh || return 1
    done
}

image() { root trixie && PYTHON=$python ROOT=$roots/trixie tests/e2e/buildah.sh; }

pythons() {
    failed=""
    for suite in bookworm trixie sid; do
        root "$suite" && tests_in "$roots/$suite" || failed="$failed $suite"
    done
    test -z "$failed" || { echo "failed on:$failed" >&2; return 1; }
}

# tests_in ROOT: copies the checkout into it, and runs unit and integration tests there as `make test` would.
tests_in() {
    rm -rf -- "$1/checkout"
    mkdir "$1/checkout"
    git ls-files -z | tar --create --null --files-from - | tar --extract --directory "$1/checkout"
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        test ! -e "$file" || cp --dereference -- "$file" "$1$file"
    done
    for each in proc dev dev/shm; do
        mountpoint --quiet "$1/$each" || { mount --bind "/$each" "$1/$each" && mounted="$1/$each $mounted"; }
    done
    chroot "$1" python3 --version
    # shellcheck disable=SC2016  # the inner shell has the number of jobs
    chroot "$1" make --no-print-directory --directory /checkout PYTHON=python3 .venv/.ready &&
        chroot "$1" sh -c 'cd /checkout && PYTHONPYCACHEPREFIX=/checkout/.venv/bytecode exec .venv/bin/pytest --quiet --numprocesses="$1" --dist=loadfile \
            --no-loadscope-reorder tests/unit tests/integration' sh "${JOBS:-4}"
}

prometheus() {
    root sid || return 1
    cp --dereference /etc/resolv.conf "$roots/sid/etc/resolv.conf"
    mkdir -p "$work/debs"
    chroot "$roots/sid" sh -c 'apt-get update -qq --option Acquire::Check-Valid-Until=false && cd /tmp && rm -f ./*.deb &&
        apt-get download -qq prometheus prometheus-alertmanager' || return 1
    for package in "$roots"/sid/tmp/*.deb; do dpkg-deb --extract "$package" "$work/debs"; done
    for path in "$PATH" "$work/debs/usr/bin:$PATH"; do
        PATH=$path prometheus --version 2>&1 | head -n 1
        PATH=$path "$python" -m pytest --quiet --no-cov tests/e2e/test_prometheus.py tests/e2e/test_alerting.py \
            tests/e2e/test_upgrade_prometheus.py tests/e2e/test_upgrade_alerts.py tests/e2e/test_scraper_labels.py \
            tests/e2e/test_inhibitions.py tests/e2e/test_dashboards.py tests/e2e/test_gzip_readers.py \
            tests/e2e/test_web_config.py || return 1
    done
}

wrong=""
for part in ${PARTS:-arm64 units image prometheus pythons}; do
    echo "==== $part"
    "$part" || wrong="$wrong $part"
done
test -z "$wrong" || { echo "failed:$wrong" >&2; exit 1; }
