#!/bin/sh
# Boots a Debian with the unit under a real systemd, and prints what it saw; 0 when all was as it should be.
# As root, with debootstrap, systemd-nspawn (package systemd-container) and the Debian archive: `tests/e2e/nspawn.sh`.
# A root that was made before is used again: `ROOT=/var/tmp/root tests/e2e/nspawn.sh`.
set -eu
repository=$(realpath -- "$(dirname -- "$(realpath -- "$0")")/../..")
python=${PYTHON:-$repository/.venv/bin/python}
work=$(mktemp -d)
root=${ROOT:-$work/root}
forget() {
    rm -rf --one-file-system -- "$root/try" "$root/etc/avi-upgrade-monitor" "$root/opt/avi-upgrade-monitor" \
        "$root/var/lib/private" "$root/var/lib/avi-upgrade-monitor" "$root/var/log/journal" \
        "$root"/etc/systemd/system/try.service "$root"/etc/systemd/system/avi-upgrade-monitor.* \
        "$root"/etc/systemd/system/*.target.wants/try.service \
        "$root"/etc/systemd/system/*.target.wants/avi-upgrade-monitor.*
}
cleanup() {
    forget
    rm -rf --one-file-system -- "$work"
}
trap cleanup EXIT

if ! test -e "$root/usr/bin/python3"; then
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,python3-venv,curl \
        "${SUITE:-bookworm}" "$root" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; exit 1; }
fi
version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mkdir -p "$work/wheels"
(cd "$repository" && "$python" -m hatchling build --target wheel --directory "$work/wheels") >"$work/hatchling.log" 2>&1 ||
    { cat "$work/hatchling.log"; exit 1; }
# The wheels are fetched here: the container has no network.
"$python" -m pip download --quiet --disable-pip-version-check --only-binary=:all: --python-version "$version" \
    --no-deps --require-hashes --requirement "$repository/deploy/requirements.txt" \
    --dest "$work/wheels" 2>"$work/pip.log" || { cat "$work/pip.log"; exit 1; }
mkdir "$work/broken"
"$python" "$repository/tests/e2e/break_wheel.py" "$work"/wheels/avi_upgrade_monitor-*.whl "$work/broken"

forget
mkdir -p "$root/try"
cp -r "$work/wheels" "$work/broken" "$repository/tests/e2e/nspawn-inside.sh" "$root/try/"
mkdir "$root/try/deploy"
cp -r "$repository/deploy/systemd" "$repository/deploy/requirements.txt" "$root/try/deploy/"
cat >"$root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=-/bin/sh /try/nspawn-inside.sh
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/try/report
StandardError=file:/try/report
TimeoutStartSec=5min
[Install]
WantedBy=graphical.target
UNIT
mkdir -p "$root/etc/systemd/system/graphical.target.wants"
ln -sf /etc/systemd/system/try.service "$root/etc/systemd/system/graphical.target.wants/try.service"

# systemd-nspawn wants a /run in memory, and one cgroup tree; where the machine has others, this process alone sees these.
export ROOT_OF_CONTAINER="$root"
unshare --mount --propagation private sh -eu -c '
    test "$(stat -f -c %T /run)" = tmpfs || { mount -t tmpfs tmpfs /run; mkdir -p /run/systemd; }
    test "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs || {
        umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }
    exec timeout 400 systemd-nspawn --quiet --directory "$ROOT_OF_CONTAINER" --machine avi-upgrade-monitor-try \
        --register=no --keep-unit --private-network --link-journal=no --boot
' >"$work/console.log" 2>&1 </dev/null || { echo "the container did not end well"; tail -n 30 "$work/console.log"; }
test -e "$root/try/report" || { echo "nothing was reported"; tail -n 30 "$work/console.log"; exit 1; }
cat "$root/try/report"
tail -n 1 "$root/try/report" | grep -qx "all as it should be"
