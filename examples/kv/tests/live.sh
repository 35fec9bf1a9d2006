#!/bin/bash
# Compares the server with a real Redis, both running, and drives it with
# redis-cli, redis-benchmark and redis-py. Needs redis-server and its tools.
#
#   KV_BENCH_REQUESTS  requests for each test of redis-benchmark [100000]
set -euo pipefail
cd "$(dirname "$0")/../../.."
requests=${KV_BENCH_REQUESTS:-100000}
work=$(mktemp -d)
target=${CARGO_TARGET_DIR:-target}
started=()
for tool in redis-server redis-cli redis-benchmark; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done

finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    sed 's/^/kv: /' "$work/kv.log" >&2 || true
    exit 1
}

expect() { # what, expected, got
    [[ "$3" == $2 ]] || fail "$1: expected $2, got $3"
}

start_redis() { # at a port that nobody has
    while true; do
        redis_port=$((20000 + RANDOM % 10000))
        redis-server --port "$redis_port" --bind 127.0.0.1 --databases 1 --save '' \
            --appendonly no --dir "$work" >"$work/redis.log" &
        redis_pid=$!
        touch "$work/redis.log"
        while kill -0 "$redis_pid" 2>/dev/null; do
            if grep -q 'Ready to accept connections' "$work/redis.log"; then
                started+=("$redis_pid")
                return
            fi
            sleep 0.1
        done
    done
}

start_kv() {
    "$target/release/kv" --port 0 --enable-debug-crash >"$work/kv.out" 2>"$work/kv.log" &
    kv_pid=$!
    started+=("$kv_pid")
    until grep -q 'listening on' "$work/kv.out"; do
        kill -0 "$kv_pid" || fail "kv did not start"
        sleep 0.1
    done
    kv_port=$(sed -n 's/^kv: listening on .*:\([0-9]*\)$/\1/p' "$work/kv.out")
}

session() { "$target/release/examples/session" "$@"; }
kv() { redis-cli -p "$kv_port" "$@"; }

say "building"
cargo build --release --quiet --package kv --bins --examples
start_redis
start_kv
echo "redis-server at port $redis_port, kv at port $kv_port"

say "recorded sessions: Redis, then kv without DEBUG"
session check "127.0.0.1:$redis_port" | tail -1
"$target/release/kv" --port 0 >"$work/plain.out" 2>"$work/plain.log" &
started+=($!)
until grep -q 'listening on' "$work/plain.out"; do sleep 0.1; done
session check "$(sed 's/.* on //' "$work/plain.out")" | tail -1

say "random commands to both"
session differ "127.0.0.1:$redis_port" "127.0.0.1:$kv_port"

say "redis-cli"
kv flushall >/dev/null
expect set OK "$(kv set greeting 'hello world')"
expect get 'hello world' "$(kv get greeting)"
expect resp3 'field value' "$(kv hset h field value >/dev/null; kv -3 hgetall h | tr '\n' ' ' | sed 's/ $//')"
expect scan 'greeting h' "$(kv --scan | sort | tr '\n' ' ' | sed 's/ $//')"
expect binary $'a\tb' "$(printf 'a\tb' | kv -x set bytes >/dev/null; kv get bytes)"
expect pipe '*errors: 0, replies: 2*' "$(printf 'SET p 1\r\nGET p\r\n' | kv --pipe)"

say "a crash"
kv mset safe 1 doomed 1 >/dev/null
replies=$(printf '%s\n' 'CLIENT ID' 'DEBUG CRASH doomed' 'GET safe' 'CLIENT ID' | kv | grep -v '^$')
mapfile -t lines <<<"$replies"
expect 'reply of the command that crashed' 'ERR partition kv.partition.* gave no reply*' "${lines[1]}"
expect 'key of another partition' 1 "${lines[2]}"
expect 'connection' "${lines[0]}" "${lines[3]}"
until kv get doomed >"$work/doomed" && ! grep -q '^ERR' "$work/doomed"; do sleep 0.1; done
expect 'key of the crashed partition' '' "$(cat "$work/doomed")"
expect 'partition started anew' OK "$(kv set doomed 2)"
grep 'resurgam::crash' "$work/kv.log" | grep -q 'examples/kv/src/store.rs:[0-9]*:[0-9]*' ||
    fail "the crash report does not tell the place"
grep -q 'resurgam::supervisor' "$work/kv.log" || fail "the supervisor did not report"
grep -m1 'resurgam::crash' "$work/kv.log"

tests=ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,mset
for pipeline in 1 16; do
    say "redis-benchmark, pipelines of $pipeline"
    redis-benchmark -p "$kv_port" -t "$tests" -n "$requests" -q -P "$pipeline" |
        tr '\r' '\n' | grep 'per second'
done

say "redis-py"
if python3 -c 'import redis' 2>/dev/null; then
    python3 examples/kv/tests/redis_py.py "$kv_port"
else
    echo "SKIPPED: python3 with the package redis is not installed"
fi

say "stopping"
kill -TERM "$kv_pid"
code=0
wait "$kv_pid" || code=$?
expect 'exit code' 0 "$code"
expect 'crashes in the log' 1 "$(grep -c 'resurgam::crash' "$work/kv.log")"
echo "all as expected"
