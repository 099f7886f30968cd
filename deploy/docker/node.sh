#!/bin/sh
# The node's start: may use the engine's socket, whatever group that belongs to on this machine, and is nobody else.
set -eu
socket=/var/run/docker.sock
if [ "${NODE_PROVISIONER:-docker}" = docker ] && [ ! -S "$socket" ]; then
  echo "There is no Docker socket at $socket: the node needs it to start kernels." >&2
  exit 64
fi
chown hub:hub "$NODE_RUN_DIR"
chmod 711 "$NODE_RUN_DIR"
exec setpriv --reuid hub --regid hub --groups "$(stat -c %g "$socket")" --no-new-privs --bounding-set=-all \
  python -m kernels_app.node
