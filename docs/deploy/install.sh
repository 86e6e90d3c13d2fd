#!/bin/sh
# Installs the repository that this file is in as a service on Debian 12 or later: `sudo docs/deploy/install.sh`.
# It starts nothing. A second run brings /opt/sam-pt-live up to date and leaves the config alone.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
into=/opt/sam-pt-live
export DEBIAN_FRONTEND=noninteractive

apt-get update -qq
apt-get install -qq --yes --no-install-recommends python3 python3-venv ca-certificates libgl1 libglib2.0-0
mkdir -p "$into/docs"
for part in stream nodes tools configs run_stream.py requirements-lite.txt requirements-web.txt requirements-mqtt.txt requirements.txt \
  requirements-sam2.txt requirements-trackers.txt constraints.txt LICENSE; do
  rm -rf "${into:?}/$part"
  cp -r "$here/$part" "$into/$part"
done
cp "$here/docs/deploy.md" "$into/docs/"
[ -x "$into/.venv/bin/python" ] || python3 -m venv "$into/.venv"
"$into/.venv/bin/pip" install --quiet --requirement "$into/requirements-web.txt" \
  --requirement "$into/requirements-mqtt.txt" --constraint "$into/constraints.txt"

id sam-pt-live >/dev/null 2>&1 ||
  useradd --system --user-group --groups video --home-dir /var/lib/sam-pt-live --shell /usr/sbin/nologin sam-pt-live
getent group render >/dev/null || groupadd --system render # of GPUs, which the unit names
mkdir -p /etc/sam-pt-live
[ -e /etc/sam-pt-live/camera.yaml ] || cp "$here/docs/deploy/camera.yaml" /etc/sam-pt-live/
if ! [ -e /etc/sam-pt-live/environment ]; then
  (umask 077 && echo '# CAMERA=rtsp://user:password@192.168.1.20:554/stream1' >/etc/sam-pt-live/environment)
fi
install -m 644 "$here/docs/deploy/sam-pt-live.service" /etc/systemd/system/sam-pt-live.service
echo "installed; write the camera's address into /etc/sam-pt-live/environment, then:"
echo "  systemctl daemon-reload && systemctl enable --now sam-pt-live"
