#!/bin/sh
# From a wheel to the unit: `deploy/systemd/install.sh dist/avi_upgrade_monitor-….whl`, as root. Again with a newer wheel,
# it upgrades: what stands in /etc stays as it is. It starts nothing that did not run. pip's options come from PIP_…
set -eu
wheel=$(realpath -- "${1:?the wheel to install}")
here=$(dirname -- "$(realpath -- "$0")")
target=/opt/avi-upgrade-monitor
etc=/etc/avi-upgrade-monitor
unit=avi-upgrade-monitor

test -x "$target/bin/pip" || python3 -m venv "$target"
# The version may be the same as before; the dependencies are left alone where they fit.
"$target/bin/pip" install --quiet --disable-pip-version-check "${wheel}[speed]"
"$target/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheel"

install -d -m 0755 "$etc" "$etc/controllers.d"
install -d -m 0700 "$etc/secrets"
test -e "$etc/config.yml" || install -m 0644 "$here/config.yml" "$etc/config.yml"
install -m 0644 "$here/$unit.service" "$here/$unit.socket" /etc/systemd/system/
systemctl daemon-reload
systemctl try-restart "$unit.service"

"$target/bin/$unit" --version
echo "Next: edit $etc/config.yml, put each password into $etc/secrets/NAME.password (mode 0600), then"
echo "  systemctl enable --now $unit.service     (and $unit.socket, for restarts that refuse no connection)"
