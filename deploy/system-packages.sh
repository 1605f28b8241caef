#!/bin/sh
# Installs with apt the packages that pip cannot install. Without apt or root it lists them and fails.
#   system-packages.sh run      what the daemon itself needs
#   system-packages.sh test     also two brokers, PostgreSQL, Prometheus, an RTSP server and a browser for the tests
#   system-packages.sh build    also what builds the Debian package
#   system-packages.sh service  also what boots a Debian in which the package is tested
set -eu

missing=""
need() { # need PACKAGE TEST...: remember the package unless the test succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }
program() { command -v "$1" || test -x "/usr/sbin/$1"; }
plugin() { gst-inspect-1.0 "$1"; }
postgresql() { ls /usr/lib/postgresql/*/bin/"$1" || command -v "$1"; } # Debian keeps a server's programs off PATH

python=${PYTHON:-python3}
need python3-venv "$python" -c "import ensurepip, venv"
# cv2 and mediapipe link against libGL and GLib, MediaPipe's tasks against EGL and GLES.
need libgl1 library libGL.so.1
need libegl1 library libEGL.so.1
need libgles2 library libGLESv2.so.2
if ! library libglib-2.0.so.0; then
    missing="$missing libglib2.0-0"
fi

if [ "${1:-run}" = test ]; then
    need mosquitto program mosquitto
    need mosquitto-clients program mosquitto_pub
    need rabbitmq-server program rabbitmq-server
    need openssl program openssl
    need postgresql postgresql initdb
    need postgresql-client program psql
    need chromium program chromium
    need prometheus program prometheus
    need strace program strace
    need python3-gi /usr/bin/python3 -c "import gi"
    need gir1.2-gst-rtsp-server-1.0 /usr/bin/python3 -c "
import gi
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GstRtspServer"
    need gstreamer1.0-tools program gst-inspect-1.0
    need gstreamer1.0-plugins-base plugin videoconvert
    need gstreamer1.0-plugins-good plugin rtpjpegpay
    need gstreamer1.0-plugins-bad plugin h264parse
    need gstreamer1.0-plugins-ugly plugin x264enc
    need systemd program systemd-analyze
fi
if [ "${1:-run}" = build ]; then
    need python3 /usr/bin/python3 -c "import venv"
    need dpkg program dpkg-deb
fi
if [ "${1:-run}" = service ]; then
    need debootstrap program debootstrap
    need systemd-container program systemd-nspawn
    need util-linux program nsenter
    need python3-venv /usr/bin/python3 -c "import ensurepip, venv"
fi

[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    run=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run="sudo -n"
else
    run="no"
fi
if [ "$run" = no ] || ! command -v apt-get >/dev/null; then
    echo "system-packages.sh: missing packages; install them and run this again:$missing" >&2
    exit 2
fi
echo "Installing system packages:$missing"
$run apt-get update -qq
# shellcheck disable=SC2086 # the list is split on purpose
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
# Debian's packages start servers for the whole machine; the tests start their own, so stop those.
for service in mosquitto postgresql prometheus rabbitmq-server; do
    case "$missing " in
    *" $service "*)
        if command -v systemctl >/dev/null; then
            $run systemctl disable --now $service >/dev/null 2>&1 || true
        fi
        ;;
    esac
done
