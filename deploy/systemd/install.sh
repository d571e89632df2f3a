#!/bin/sh
# Installs, upgrades and removes the daemon. As root:
#   deploy/systemd/install.sh dist/avi_upgrade_monitor-….whl     again with another wheel, it upgrades
#   deploy/systemd/install.sh uninstall                          leaves configuration and data
# PYTHON names another interpreter than python3. pip takes its options from PIP_…
#
# It starts nothing that did not run. An upgrade of a daemon that runs goes back, with the database as it was, when
# the new version is not ready within two minutes. /opt/avi-upgrade-monitor/bin leads to the version in use.
set -eu
unit=avi-upgrade-monitor
target=/opt/$unit
etc=/etc/$unit
units=/etc/systemd/system
here=$(dirname -- "$(realpath -- "$0")")
lock=$here/../requirements.txt
python=${PYTHON:-python3}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}
value() { systemctl show --value --property "$1" "$unit.service"; }
active() { systemctl is-active --quiet "$1"; }

uninstall() {
    systemctl disable --quiet --now "$unit.socket" "$unit.service" 2>/dev/null || true
    rm -rf -- "$target" "$units/$unit.service" "$units/$unit.socket"
    systemctl daemon-reload
    systemctl reset-failed "$unit.socket" "$unit.service" 2>/dev/null || true
    echo "removed; what remains is yours: $etc, $state, and what \`systemctl edit\` made in $units"
}

# Makes a folder of its own for the version: a venv with everything, and the units.
build() {
    install -d -m 0755 "$target"
    new=$(mktemp -d "$target/version-$(basename -- "$wheel" | cut -d - -f 2).XXXXXX")
    undo="rm -rf -- $new"
    chmod 0755 "$new"
    "$python" -m venv "$new"
    set -- "$new/bin/pip" install --quiet --disable-pip-version-check --no-deps
    "$@" --require-hashes --requirement "$lock"
    "$@" "$wheel"
    "$new/bin/pip" check --disable-pip-version-check >/dev/null || fail "the wheel needs other packages than $lock has"
    install -m 0644 "$here/$unit.service" "$here/$unit.socket" "$new/"
}

use() {
    ln -sfn "$(basename -- "$1")/bin" "$target/bin.next"
    mv -T -- "$target/bin.next" "$target/bin"
    install -m 0644 "$1/$unit.service" "$1/$unit.socket" "$units/"
    systemctl daemon-reload
}

# The number of the last migration, which is that of the schema.
schema() {
    find "$1"/lib/python3*/site-packages/monitor/store/migrations/versions -name '[0-9]*_*.py' -printf '%f\n' |
        sort | tail -n 1 | cut -d _ -f 1
}

# Stops the daemon and copies its database. The socket, too: a request would start the daemon meanwhile.
copy_database() {
    if test -z "$(find "$state/" -name '*.db' -print -quit)"; then
        test "${DATABASE_COPIED:-}" != yes || return 0
        fail "the new version changes the schema of the database, and there is none in $state that could be copied:" \
            "copy it yourself (pg_dump), then run this again with DATABASE_COPIED=yes"
    fi
    undo=go_back
    systemctl stop ${socket:+"$socket"} "$unit.service"
    rm -rf -- "$copy" "$copy.part"
    cp -a --reflink=auto -- "$state" "$copy.part"
    mv -T -- "$copy.part" "$copy"
    copied=yes
}

start() {
    test -z "$socket" || systemctl start "$socket"
    systemctl restart "$unit.service"
}

# The status begins like this once /-/ready answers 200.
ready() {
    for _ in $(seq 120); do
        active "$unit.service" || return 1
        case $(value StatusText) in [0-9]*" controllers up"*) return 0 ;; esac
        sleep 1
    done
    return 1
}

go_back() {
    echo "install.sh: going back to the version before; state of the new one: $(value ActiveState) $(value StatusText)" >&2
    journalctl --no-pager --quiet --output cat --unit "$unit.service" --priority warning --lines 5 >&2 || true
    if test "$copied" = yes; then
        systemctl stop ${socket:+"$socket"} "$unit.service" || true
        rm -rf -- "$state"
        mv -T -- "$copy" "$state"
    fi
    use "$old"
    start || echo "install.sh: the version before does not start, either: systemctl status $unit" >&2
    rm -rf -- "$new"
}

upgrade() {
    # As a reload does it: among the mounts of the daemon, where its credentials are.
    pid=$(value MainPID)
    web_config=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^WEB_CONFIG=//p')
    nsenter --target "$pid" --mount -- "$new/bin/$unit" check-config --config "$etc/config.yml" ${web_config:+"$web_config"} ||
        fail "the new version does not accept $etc/config.yml; nothing was changed"
    socket=""
    ! active "$unit.socket" || socket=$unit.socket
    test "$(schema "$old")" = "$(schema "$new")" || copy_database
    undo=go_back
    use "$new"
    { start && ready; } || fail "the new version was not ready"
}

state=$(realpath -m -- "/var/lib/$unit")
copy=$state.before-upgrade
copied=no
root() { test "$(id -u)" = 0 || fail "run it as root"; }
if test "${1:-}" = uninstall; then
    root
    uninstall
    exit
fi
wheel=$(realpath -e -- "${1:-}" 2>/dev/null) || fail "expected the wheel to install, or uninstall; found \"${1:-}\""
"$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "expected Python 3.11 or newer with venv (Debian: python3-venv), found $python; name another one with PYTHON="
test -f "$lock" || fail "found no $lock, which names the packages with their hashes"
test -L "$target/bin" || test ! -e "$target/bin" ||
    fail "$target is not of this installer: run it with uninstall first, which leaves configuration and data"
root
old=""
test ! -e "$target/bin" || old=$(dirname -- "$(realpath -- "$target/bin")")

undo=:
trap '$undo' EXIT
trap 'exit 1' HUP INT TERM
build
install -d -m 0755 "$etc" "$etc/controllers.d"
install -d -m 0700 "$etc/secrets"
test -e "$etc/config.yml" || install -m 0644 "$here/config.yml" "$etc/config.yml"
if test -n "$old" && active "$unit.service"; then upgrade; else use "$new"; fi
undo=:
find "$target" -mindepth 1 -maxdepth 1 -name 'version-*' ! -path "$new" -exec rm -rf -- {} +

"$target/bin/$unit" --version
if test "$copied" = yes; then echo "the database as it was before: $copy"; fi
test -n "$old" || cat <<NEXT
Next: edit $etc/config.yml, put each password into $etc/secrets/NAME.password (mode 0600), then
  systemctl enable --now $unit.service     (and $unit.socket, for restarts that refuse no connection)
NEXT
