#!/usr/bin/env bash
# The cheap web service behind both proxies: nginx in the foreground, with an answer of BODY bytes.
# smoothserve launches it as an instance: backend.sh -port=8086
set -euo pipefail

port=${1#-port=}
folder=$(mktemp -d "${SCRATCH:?}/backend.XXXXXX")
body=$(printf '%*s' "${BODY:-100}" '' | tr ' ' x)

cat >"$folder/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $folder/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $folder; proxy_temp_path $folder;
    fastcgi_temp_path $folder; uwsgi_temp_path $folder; scgi_temp_path $folder;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {
        listen 127.0.0.1:$port;
        location / { default_type text/plain; return 200 $body; }
    }
}
CONF
exec taskset -c "${LOAD_CORE:-1}" nginx -p "$folder" -c nginx.conf
