#!/bin/sh
# Installs InStore as a service where its Debian package does not fit: another release, another architecture, or a
# GPU, whose libraries the package does not contain. Run it as root from the source tree; run it again to upgrade.
#   deploy/install.sh [--tensorrt] [--openvino] [--root FOLDER]    install or upgrade
#   deploy/install.sh --remove [--purge]    remove; --purge also deletes configuration, secrets and windows
# It needs systemd 252 or newer and Python 3.11 or newer with venv, and uses the same paths as the package.
set -eu

source=$(cd "$(dirname "$0")/.." && pwd)
root="" extras="" action=install purge=no
usage() { sed -n '2,6s/^# *//p' "$0"; }
fail() { echo "install.sh: $1" >&2 && exit "${2:-1}"; }

while [ $# -gt 0 ]; do
    case $1 in
    --tensorrt | --openvino) extras="$extras ${1#--}" ;;
    --remove) action=remove ;;
    --purge) purge=yes ;;
    --root)
        [ $# -gt 1 ] || fail "--root: no value; give a folder" 2
        root=$2
        shift
        ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && fail "$1: unknown option; the options are above" 2 ;;
    esac
    shift
done
[ "$purge" = no ] || [ "$action" = remove ] || fail "--purge: not allowed without --remove" 2
[ "$(id -u)" = 0 ] || fail "must run as root: sudo $0"

prefix=$root/opt/instore-edge
unit=$root/usr/lib/systemd/system/instore-edge.service
[ -d "$root/usr/lib/systemd" ] || unit=$root/etc/systemd/system/instore-edge.service
etc=$root/etc/instore-edge
live=no # yes: install to this machine, which systemd runs
[ -n "$root" ] || [ ! -d /run/systemd/system ] || live=yes
if [ -z "$root" ] && command -v dpkg-query >/dev/null &&
    dpkg-query -W -f '${Status}' instore-edge 2>/dev/null | grep -q "ok installed"; then
    fail "the Debian package is installed; upgrade it, or remove it with: apt purge instore-edge"
fi

if [ "$action" = remove ]; then
    [ "$live" = no ] || systemctl disable --now instore-edge.service 2>/dev/null || true
    rm -rf "$prefix" "$unit" "$unit.d" "$root/usr/share/instore-edge" "$root/usr/bin/instore-edge"
    rm -f "$root/usr/share/man/man1/instore-edge.1" "$root/usr/share/bash-completion/completions/instore-edge"
    if [ "$purge" = yes ]; then
        rm -rf "$etc"
        for folder in lib cache; do
            rm -rf "$root/var/$folder/instore-edge" "$root/var/$folder/private/instore-edge"
        done
    fi
    [ "$live" = no ] || systemctl daemon-reload
    echo "removed InStore"
    exit 0
fi

python=${PYTHON:-python3}
"$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "PYTHON = $python: not Python 3.11 or newer with venv; set PYTHON to one"
systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
[ "${systemd:-0}" -ge 252 ] || fail "systemd ${systemd:-is missing}: 252 or newer is needed"
[ -n "$root" ] || "$source/deploy/system-packages.sh" run

# Install beside the old version, which stays in use until the new one is complete: a failure leaves the box unchanged.
umask 022
echo "Libraries ..."
rm -rf "$prefix.new"
mkdir -p "$(dirname "$prefix")"
"$python" -m venv "$prefix.new"
pip="$prefix.new/bin/python3 -m pip --quiet --disable-pip-version-check --no-input install"
$pip --require-hashes --no-deps -r "$source/requirements/box.txt"
for extra in $extras; do
    $pip --require-hashes --no-deps -r "$source/requirements/$extra.txt"
done
copy=$(mktemp -d) # a build writes into its source tree
trap 'rm -rf "$copy" "$prefix.new"' EXIT
cp -R "$source/edge" "$source/pyproject.toml" "$source/README.md" "$copy/"
build=$copy/build-environment
"$python" -m venv "$build"
awk '/^[a-z]/ { wanted = /^setuptools==/ } wanted' "$source/requirements/edge.txt" >"$copy/build.txt"
"$build/bin/python3" -m pip --quiet --disable-pip-version-check install --require-hashes -r "$copy/build.txt"
"$build/bin/python3" -m pip --quiet --disable-pip-version-check wheel --no-deps --no-build-isolation -w "$copy" "$copy"
$pip --no-deps "$copy"/*.whl

echo "Service ..."
mkdir -p "$prefix.new/libexec" "$(dirname "$unit")" "$root/usr/share/instore-edge/systemd" "$root/usr/bin"
mkdir -p "$root/usr/share/instore-edge/mosquitto"
cp "$source/deploy/systemd/restart-delay" "$prefix.new/libexec/"
find "$prefix.new/bin" ! -name 'python*' -type f -delete # they contain the name of the build folder
# As in the package. -I: Python imports nothing from the current folder or from the caller's environment variables.
printf '#!/opt/instore-edge/bin/python3 -I\nfrom edge.cli import main\n\nraise SystemExit(main())\n' \
    >"$prefix.new/bin/instore-edge"
chmod 755 "$prefix.new/bin/instore-edge" "$prefix.new/libexec/restart-delay"
rm -rf "$prefix.old"
[ ! -e "$prefix" ] || mv "$prefix" "$prefix.old"
mv "$prefix.new" "$prefix"
rm -rf "$prefix.old"
"$prefix/bin/python3" -m compileall -q "$prefix/lib" || true # templates do not compile

cp "$source/deploy/systemd/instore-edge.service" "$unit"
cp "$source"/deploy/systemd/*.conf "$root/usr/share/instore-edge/systemd/"
cp "$source"/deploy/mosquitto/* "$root/usr/share/instore-edge/mosquitto/"
if [ "$systemd" -ge 253 ]; then
    mkdir -p "$unit.d"
    cp "$source/deploy/systemd/notify-reload.conf" "$unit.d/"
fi
ln -sf /opt/instore-edge/bin/instore-edge "$root/usr/bin/instore-edge"
mkdir -p "$etc/secrets" "$etc/conf.d"
cp "$source/docs/config.schema.json" "$root/usr/share/instore-edge/"
chmod 700 "$etc/secrets"
if [ -e "$etc/config.toml" ]; then
    cp "$source/config.toml" "$etc/config.toml.new"
else
    cp "$source/config.toml" "$etc/config.toml"
fi

if [ "$live" = yes ]; then
    systemctl daemon-reload
    systemctl --quiet enable instore-edge.service
    systemctl --quiet is-active instore-edge.service && systemctl restart instore-edge.service
fi
echo "Installed InStore. Set the store, its cameras and its broker in /etc/instore-edge/config.toml, then:"
echo "  instore-edge check --config /etc/instore-edge/config.toml"
echo "  systemctl start instore-edge"
