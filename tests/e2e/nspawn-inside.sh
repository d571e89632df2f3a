#!/bin/sh
# What tests/e2e/nspawn.sh does in the container, from the wheel to the end of the unit. Prints a line for each thing seen.
set -eu
unit=avi-upgrade-monitor
program=/opt/$unit/bin/$unit
etc=/etc/$unit
state=/var/lib/private/$unit
install=/try/deploy/systemd/install.sh
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/try/wheels

fail() {
    echo "NOT AS IT SHOULD BE: $*"
    systemctl status --no-pager --lines=0 $unit.service || true
    journalctl --no-pager --unit $unit.service --lines=30 || true
    exit 1
}
value() { systemctl show --value --property "$1" $unit.service; }
# Asks once a fifth of a second, for 30 s: systemd calls nobody back.
eventually() {
    for _ in $(seq 150); do
        if eval "$1"; then return; fi
        sleep 0.2
    done
    fail "in 30 s not: $1"
}
logged() { journalctl --no-pager --output cat --unit $unit.service | grep -q "$1"; }
scraped() { curl --silent --fail --max-time 2 http://127.0.0.1:9972/metrics | grep -q "$1"; }

echo "== $(systemctl --version | head -n 1), $(. /etc/os-release && echo "$PRETTY_NAME"), $(python3 --version)"
ip link set lo up 2>/dev/null || true

echo "== install"
$install /try/wheels/avi_upgrade_monitor-*.whl
systemd-analyze verify /etc/systemd/system/$unit.service /etc/systemd/system/$unit.socket || fail "verify"
systemd-analyze security --no-pager $unit.service | tail -n 1

echo "== simulated Controllers, and a config with their passwords as credentials"
systemd-run --quiet --unit simulated $program simulate --scenario fleet --speed 20 --port 9501 --config-dir /try/simulated
eventually 'test -s /try/simulated/config.yml'
cp /try/simulated/*.password $etc/secrets/
chmod 0600 $etc/secrets/*
sed -e "s#password_file: #&/run/credentials/$unit.service/secret_#" \
    -e "s#^database: .*#database: sqlite:////var/lib/$unit/state.db#" /try/simulated/config.yml >$etc/config.yml
mkdir -p /etc/systemd/system/$unit.service.d  # what stands still for 3 s is killed, or this would take long
printf '[Service]\nWatchdogSec=3s\nRestartSec=200ms\n' >/etc/systemd/system/$unit.service.d/quick.conf
systemctl daemon-reload

echo "== start, with the socket"
systemctl enable --quiet --now $unit.socket
systemctl start $unit.service || fail "start"
test "$(value ActiveState)/$(value SubState)" = active/running || fail "not active"
eventually 'value StatusText | grep -q "^5/5 controllers up"'
echo "$(value ActiveState), $(value SubState): $(value StatusText)"
main=$(value MainPID)
test "$(stat -c %u "/proc/$main")" -gt 60000 || fail "no user of its own"
echo "runs as user $(stat -c %u "/proc/$main"), $(grep -E '^(CapEff|NoNewPrivs|Seccomp):' "/proc/$main/status" | tr '\n' ' ')"
grep -E 'Max (core file size|open files)' "/proc/$main/limits"
eventually 'scraped "^avi_image_state"'
eventually 'scraped "^process_resident_memory_bytes"'
echo "scraped through the socket of systemd: $(curl --silent http://127.0.0.1:9972/metrics | grep -c '^avi_') series"
stat -c '%A %u %n' /var/lib/private/$unit/state.db
journalctl --no-pager --unit $unit.service --priority err | grep -v "^-- No entries" && fail "errors in the log"

echo "== reload"
sed -i 's/^controllers:/events: {detail_for: 12h}\n&/' $etc/config.yml
systemctl reload $unit.service || fail "reload"
eventually 'logged "\"reloaded\""'
eventually 'test "$(value SubState)" = running'
test "$(value MainPID)" = "$main" || fail "a reload is no restart"
echo "listen: nonsense" >>$etc/config.yml
systemctl reload $unit.service 2>/dev/null && fail "reload of a bad file"
journalctl --no-pager --output cat --unit $unit.service --priority err | grep -q 'listen: found "nonsense"' ||
    fail "no problem in the journal"
sed -i '$d' $etc/config.yml
test "$(value MainPID)/$(value ActiveState)" = "$main/active" || fail "a bad file ends nothing"
echo "a good file was taken, a bad one refused; still the process $main"

echo "== upgrades"
schema() { python3 -c 'import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute("SELECT version_num FROM alembic_version").fetchone())' "$1"; }
before=$(readlink /opt/$unit/bin)
$install /try/wheels/avi_upgrade_monitor-*.whl || fail "upgrade"
test "$(readlink /opt/$unit/bin)" != "$before" || fail "the same version folder"
test "$(find /opt/$unit -mindepth 1 -maxdepth 1 | wc -l)" = 2 || fail "the old version remains"
test "$(value MainPID)" != "$main" || fail "no restart"
main=$(value MainPID)
value StatusText | grep -q "^5/5 controllers up" || fail "the installer has not waited"
echo "upgraded, and ready: $(value StatusText)"
schema=$(schema $state/state.db)
if $install /try/broken/avi_upgrade_monitor-*.whl >/try/broken.log 2>&1; then fail "a broken version is an upgrade"; fi
grep '^install.sh' /try/broken.log
systemctl is-active $unit.service $unit.socket >/dev/null || fail "not running after the way back"
eventually 'value StatusText | grep -q "^5/5 controllers up"'
journalctl --no-pager --output cat --unit $unit.service | grep "broken on purpose" | tail -n 1 || fail "the broken version did not run"
journalctl --no-pager --output cat --unit $unit.service | grep -q "its schema is" && fail "the migrated database was kept"
test "$(schema $state/state.db)" = "$schema" || fail "not the schema as before"
test "$(find /opt/$unit -mindepth 1 -maxdepth 1 | wc -l)" = 2 || fail "the broken version remains"
main=$(value MainPID)
echo "listen: nonsense" >>$etc/config.yml
if $install /try/wheels/avi_upgrade_monitor-*.whl >/try/refused.log 2>&1; then fail "an upgrade with a wrong config"; fi
grep '^install.sh' /try/refused.log
sed -i '$d' $etc/config.yml
test "$(value MainPID)/$(value ActiveState)" = "$main/active" || fail "a refused upgrade changes nothing"
echo "schema $schema before and after; still the process $main"

echo "== watchdog"
kill -STOP "$main"
eventually 'test "$(value NRestarts)" = 1'
eventually 'test "$(value ActiveState)/$(value SubState)" = active/running'
eventually 'value StatusText | grep -q "^5/5 controllers up"'
journalctl --no-pager --output cat --unit $unit.service | grep -E 'Watchdog timeout|result .watchdog.' || fail "no watchdog"
echo "restarted as process $(value MainPID): $(value StatusText)"

echo "== a wrong config is not started again and again"
cp $etc/config.yml /try/good.yml
echo "listen: nonsense" >>$etc/config.yml
systemctl restart $unit.service 2>/dev/null && fail "started with a wrong config"
echo "$(value ActiveState), status $(value ExecMainStatus), restarts $(value NRestarts)"
test "$(value ActiveState)/$(value ExecMainStatus)" = failed/2 || fail "not refused with 2"
cp /try/good.yml $etc/config.yml

echo "== stop, with a client waiting at the socket"
systemctl start $unit.service || fail "start again"
eventually 'value StatusText | grep -q "^5/5 controllers up"'
curl --silent --fail --max-time 20 --output /dev/null http://127.0.0.1:9972/metrics
systemctl stop $unit.service || fail "stop"
echo "$(value ActiveState), result $(value Result), status $(value ExecMainStatus)"
test "$(value ActiveState)/$(value Result)/$(value ExecMainStatus)" = inactive/success/0 || fail "not stopped cleanly"
journalctl --no-pager --output cat --unit $unit.service | grep -E '"(stopping|stopped)"' | tail -n 2
curl --silent --fail --max-time 20 --output /dev/null http://127.0.0.1:9972/-/healthy || fail "the socket did not start it"
echo "and started by the first request: $(value ActiveState)"

echo "== uninstall"
$install uninstall
systemctl is-active $unit.service $unit.socket >/dev/null && fail "still active"
find / -xdev -path /try -prune -o -path /proc -prune -o -name '*avi*upgrade*monitor*' -print | sort
test -e $state/state.db || fail "no data left"
test ! -e /opt/$unit || fail "a trace of the program"
echo "all as it should be"
