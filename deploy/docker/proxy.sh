#!/bin/sh
# TLS when /tls holds a certificate and its key, plain HTTP otherwise.
set -eu
TLS_LISTEN=
if [ -r /tls/cert.pem ] && [ -r /tls/key.pem ]; then
  TLS_LISTEN='listen 8443 ssl; ssl_certificate /tls/cert.pem; ssl_certificate_key /tls/key.pem; ssl_protocols TLSv1.2 TLSv1.3;'
fi
export TLS_LISTEN
envsubst '${TLS_LISTEN}' </etc/hub-proxy/proxy.conf >/tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
