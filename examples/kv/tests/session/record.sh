#!/bin/sh
# Records the replies of a real Redis to the scripts in this folder.
# Needs redis-server; run it from anywhere after changing a script.
set -eu
cd "$(dirname "$0")"
port=${PORT:-7379}
redis-server --port "$port" --bind 127.0.0.1 --databases 1 --save '' --appendonly no \
    --dir "$(mktemp -d)" >/dev/null &
redis=$!
trap 'kill "$redis"' EXIT
until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
cargo run --quiet --package kv --example session -- record "127.0.0.1:$port"
