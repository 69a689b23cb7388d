#!/usr/bin/env bash
# CPU time per proxied request: smoothserve beside nginx, in rounds that take turns. The proxy has a
# core of its own, its load and the web service behind it share another. Everything listens on
# loopback; what is started is ended. See README.md here for what came out.
#
#   bash bench/proxy.sh             ROUNDS=5 SECONDS_EACH=5 CONNECTIONS=64 BODY=100
#   DAEMON=path/to/smoothserve bash bench/proxy.sh
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
daemon=${DAEMON:-$here/../target/release/smoothserve}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-5}
connections=${CONNECTIONS:-64}
proxy_core=0
export BODY=${BODY:-100} LOAD_CORE=1

refuse() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

for program in nginx wrk taskset; do
    command -v "$program" >/dev/null || refuse "no $program; next: apt-get install nginx-light wrk util-linux"
done
[[ -x $daemon ]] || refuse "no $daemon; next: cargo build --release"
((BODY <= 4000)) || refuse "BODY is $BODY; nginx takes no answer above 4000 bytes from its configuration"
(($(nproc) >= 2)) || refuse "one core for the proxy and one for its load are needed"

SCRATCH=$(mktemp -d)
export SCRATCH
pids=()
finish() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$SCRATCH"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- what runs -----------------------------------------------------------------------------------

# Ports in a row below the range of outgoing connections, all of them free; sets `port`.
port=$((12000 + RANDOM % 15000))
next_port() {
    port=$((port + 1))
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
}

# Until http://127.0.0.1:$1/ answers.
await() {
    local try line
    for try in $(seq 200); do
        if { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null; then
            printf 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
            IFS= read -r -t 5 line <&3 || true
            exec 3>&-
            if [[ ${line:-} == *" 200 "* ]]; then return; fi
        fi
        sleep 0.05
    done
    sed 's/^/  /' "$SCRATCH"/*.log >&2
    refuse "nothing answers on port $1 after $try tries"
}

start_nginx() {
    local folder=$SCRATCH/nginx backend
    next_port && backend=$port
    bash "$here/backend.sh" "-port=$backend" 2>"$SCRATCH/backend.log" &
    pids+=($!)
    next_port && nginx_port=$port
    mkdir "$folder"
    # What smoothserve does for a request, nginx is asked to do as well: it names the client to the
    # application, keeps connections to it, and counts.
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
    upstream app {
        server 127.0.0.1:$backend;
        keepalive $connections;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:$nginx_port;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host \$http_host;
            proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto \$scheme;
            proxy_set_header X-Forwarded-Host \$http_host;
        }
        location = /counted { stub_status; }
    }
}
CONF
    taskset -c "$proxy_core" nginx -p "$folder" -c nginx.conf 2>"$SCRATCH/nginx.log" &
    nginx_pid=$!
    pids+=("$nginx_pid")
    await "$nginx_port"
}

start_smoothserve() {
    local folder=$SCRATCH/smoothserve instance
    mkdir -p "$folder/services"
    next_port && instance=$port
    next_port && smoothserve_port=$port
    printf 'CommandPort: 0\nProxyAddr: 127.0.0.1\nSubConfigDir: services\n' >"$folder/smoothserve.yaml"
    cat >"$folder/services/app.yaml" <<YAML
name: app
port: $smoothserve_port
start_instance_port: $instance
executable_path: $here/backend.sh
YAML
    taskset -c "$proxy_core" "$daemon" --config "$folder/smoothserve.yaml" 2>"$SCRATCH/smoothserve.log" &
    smoothserve_pid=$!
    pids+=("$smoothserve_pid")
    await "$smoothserve_port"
}

# ---- what is measured ----------------------------------------------------------------------------

# Clock ticks of user and system time that these processes have taken.
ticks() {
    local pid stat total=0
    for pid in "$@"; do
        stat=$(<"/proc/$pid/stat")
        # The name is in parentheses and may hold anything; the state follows it.
        read -r -a stat <<<"${stat##*) }"
        total=$((total + stat[11] + stat[12]))
    done
    printf '%s\n' "$total"
}

# Prints requests, and CPU microseconds per request, of one round: round PORT SECONDS PID...
round() {
    local port=$1 seconds=$2 before after
    shift 2
    before=$(ticks "$@")
    taskset -c "$LOAD_CORE" wrk -t1 -c"$connections" -d"${seconds}s" "http://127.0.0.1:$port/" \
        >"$SCRATCH/wrk.out"
    after=$(ticks "$@")
    if grep -E 'Socket errors|Non-2xx' "$SCRATCH/wrk.out" >&2; then refuse "answers went wrong"; fi
    awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" '
        / requests in / { printf "%d %.2f\n", $1, ticks / hertz * 1e6 / $1 }' "$SCRATCH/wrk.out"
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { printf "%.2f\n", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

start_nginx
start_smoothserve
# The master waits, its worker works; smoothserve's children are the web service and do not count.
# The file ends without a line end, which `read` takes for a failure.
read -r -a workers <"/proc/$nginx_pid/task/$nginx_pid/children" || ((${#workers[@]} > 0))
round "$nginx_port" 1 "$nginx_pid" "${workers[@]}" >/dev/null
round "$smoothserve_port" 1 "$smoothserve_pid" >/dev/null

printf '%s\n' "$rounds rounds of $seconds s, $connections keep-alive connections, $BODY byte answers;" \
    "CPU microseconds per request (requests per second)"
printf '%6s  %20s  %20s\n' round nginx smoothserve
for ((i = 1; i <= rounds; i++)); do
    read -r nginx_requests nginx_cost \
        < <(round "$nginx_port" "$seconds" "$nginx_pid" "${workers[@]}")
    read -r smoothserve_requests smoothserve_cost \
        < <(round "$smoothserve_port" "$seconds" "$smoothserve_pid")
    printf '%6d  %10s (%7d)  %10s (%7d)\n' "$i" "$nginx_cost" $((nginx_requests / seconds)) \
        "$smoothserve_cost" $((smoothserve_requests / seconds))
    printf '%s\n' "$nginx_cost" >>"$SCRATCH/nginx.costs"
    printf '%s\n' "$smoothserve_cost" >>"$SCRATCH/smoothserve.costs"
done
nginx_median=$(median <"$SCRATCH/nginx.costs")
smoothserve_median=$(median <"$SCRATCH/smoothserve.costs")
printf '%6s  %20s  %20s\n' median "$nginx_median" "$smoothserve_median"
awk -v a="$smoothserve_median" -v b="$nginx_median" \
    'BEGIN { printf "smoothserve / nginx: %.2f\n", a / b }'
