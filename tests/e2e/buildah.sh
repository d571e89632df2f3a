#!/bin/sh
# Builds the image of deploy/container and runs it, without a registry and without a container engine; prints what it
# saw, and ends with 0 when all was as it should be. As root, with buildah and debootstrap: `tests/e2e/buildah.sh`.
# The base is a Debian that debootstrap makes: with the same Python as the image that the Containerfile names.
# A root that was made before is used again: `ROOT=/var/tmp/root tests/e2e/buildah.sh`.
set -eu
repository=$(realpath -- "$(dirname -- "$(realpath -- "$0")")/../..")
python=${PYTHON:-$repository/.venv/bin/python}
work=$(mktemp -d)
root=${ROOT:-$work/root}
base=localhost/avi-upgrade-monitor-base
image=localhost/avi-upgrade-monitor
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
container=""
simulated=""
main=""
cleanup() {
    for process in $simulated $main; do kill "$process" 2>/dev/null || true; done
    test -z "$container" || buildah rm "$container" >/dev/null 2>&1 || true
    rm -rf --one-file-system -- "$work"
}
trap cleanup EXIT
fail() { echo "NOT AS IT SHOULD BE: $*"; exit 1; }

if ! test -e "$root/usr/bin/python3"; then
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        "${SUITE:-trixie}" "$root" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; exit 1; }
fi
echo "== base: $(. "$root/etc/os-release" && echo "$PRETTY_NAME"), $(chroot "$root" python3 --version)"
version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
tar --create --one-file-system --directory "$root" --exclude=./proc/* --exclude=./sys/* --exclude=./try . >"$work/base.tar"
scratch=$(buildah from scratch)
buildah add --quiet "$scratch" "$work/base.tar" / >/dev/null
rm "$work/base.tar"
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$scratch"
buildah commit --quiet --rm "$scratch" "$base" >/dev/null

echo "== wheels of the locks"
for lock in requirements requirements-build; do
    "$python" -m pip download --quiet --disable-pip-version-check --only-binary=:all: --python-version "$version" \
        --no-deps --require-hashes --requirement "$repository/deploy/$lock.txt" --dest "$work/wheels" 2>"$work/pip.log" ||
        { cat "$work/pip.log"; exit 1; }
done

echo "== build"
build() {
    buildah bud --quiet --isolation chroot --pull-never --format docker --no-cache --timestamp 0 --build-arg BASE="$base" \
        --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels --volume "$work/wheels:/wheels:ro" \
        --build-arg VERSION="$("$python" -c 'import monitor; print(monitor.__version__)')" \
        --ignorefile "$repository/deploy/container/.containerignore" \
        --file "$repository/deploy/container/Containerfile" --tag "$image" "$repository" 2>"$work/build.log" ||
        { tail -n 30 "$work/build.log" >&2; fail "build" >&2; }
}
# Every file with its mode, owner and content. Not the layers: they have the time of the root folder, too.
files() {
    container=$(buildah from --pull-never "$1")
    (cd "$(buildah mount "$container")" && find . -xdev ! -type f -printf '%M %U %G %p %l\n' &&
        find . -xdev -type f -printf '%M %U %G ' -exec sha256sum {} \;) | sort
    buildah rm "$container" >/dev/null
}
files "$(build)" >"$work/first"
files "$(build)" >"$work/second"
container=""
diff "$work/first" "$work/second" || fail "two builds differ"
echo "two builds have the same $(wc -l <"$work/first") files"
buildah inspect --type image --format \
    '{{.Docker.Config.User}} {{.Docker.Config.Entrypoint}} {{.Docker.Config.Cmd}} {{.Docker.Config.Healthcheck}}{{println}}' "$image"
buildah inspect --type image --format '{{.Docker.Config.Labels}}' "$image" | grep -o 'org.opencontainers.image.[a-z]*' | sort -u

echo "== what is in it"
container=$(buildah from --pull-never "$image")
mounted=$(buildah mount "$container")
find "$mounted/opt/avi-upgrade-monitor" "$mounted/var/lib/avi-upgrade-monitor" -user 65532 -printf "%M %U %p\n" | sed "s#$mounted##"
find "$mounted" -xdev -name '*.password' | grep . && fail "a secret"
test ! -e "$mounted/source" || fail "the source is in it"
du -sh "$mounted/opt/avi-upgrade-monitor" | cut -f 1

# As an engine runs it with --read-only and a tmpfs at /tmp: the user, the environment and the command of the image, the
# root read-only, the state and the config mounted. And without a shell: nothing may need one.
cat >"$work/inside.sh" <<'INSIDE'
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mkdir -p "$1/etc/avi-upgrade-monitor"
mount --bind "$2" "$1/etc/avi-upgrade-monitor"
mount --bind "$3" "$1/var/lib/avi-upgrade-monitor"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount --bind /dev/null "$(realpath "$1/usr/bin/sh")"
mount -o remount,bind,ro "$1"
root=$1
shift 3
exec chroot --userspec=65532:65532 "$root" /usr/bin/env -i "$@"
INSIDE
mkdir -p "$work/config" "$work/state"
chown 65532:65532 "$work/state"
environment=$(buildah inspect --type image --format '{{range .Docker.Config.Env}}{{println .}}{{end}}' "$image")
run() {
    # shellcheck disable=SC2086  # the environment is words without spaces
    unshare --mount --propagation private sh -eu "$work/inside.sh" "$mounted" "$work/config" "$work/state" \
        $environment AVI_UPGRADE_MONITOR_URL=http://127.0.0.1:9987 http_proxy=http://127.0.0.1:1 "$@"
}
healthy() {
    run python -c "import os, urllib.request as ask; ask.build_opener(ask.ProxyHandler({})).open(os.environ['AVI_UPGRADE_MONITOR_URL'] + '/-/healthy', timeout=5)" \
        2>/dev/null
}
echo "== run: $(run avi-upgrade-monitor --version)"
run python -c 'open("/opt/avi-upgrade-monitor/x", "w")' 2>/dev/null && fail "the root can be written"
"$python" -m monitor simulate --scenario fleet --speed 20 --config-dir "$work/config" >/dev/null &
simulated=$!
for _ in $(seq 150); do test ! -s "$work/config/config.yml" || break; sleep 0.2; done
sed -i -e 's#^database: .*#database: sqlite:////var/lib/avi-upgrade-monitor/state.db#' "$work/config/config.yml"
echo "listen: 127.0.0.1:9987" >>"$work/config/config.yml"
chown -R 65532 "$work/config"
healthy && fail "healthy before it runs"
run avi-upgrade-monitor run --config /etc/avi-upgrade-monitor/config.yml 2>"$work/daemon.log" &
daemon=$!
for _ in $(seq 150); do ! healthy || break; sleep 0.2; done
main=$(cat "/proc/$daemon/task/$daemon/children")  # of the shell that the function runs in
main=${main% }
healthy || { tail "$work/daemon.log"; fail "not healthy"; }
for _ in $(seq 150); do test "$(grep -c '"objects_listed"' "$work/daemon.log")" -lt 5 || break; sleep 0.2; done
test "$(stat -c %u "/proc/$main")" = 65532 || fail "not the user of the image"
echo "healthy, as user $(stat -c %u "/proc/$main"); $(grep -c '"controller_up"' "$work/daemon.log") controllers up;" \
    "$(curl --silent http://127.0.0.1:9987/metrics | grep -c '^avi_') series"
kill -TERM "$main"
wait "$daemon" || fail "it ended with $?"
tail -n 1 "$work/daemon.log"
stat -c '%A %u %n' "$work/state/state.db" | sed "s#$work##"

echo "== the demo"
run avi-upgrade-monitor demo --listen 127.0.0.1:9987 --for 5s --speed 200 | tail -n 1
echo "all as it should be"
