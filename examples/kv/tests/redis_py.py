"""Drives a server with redis-py: redis_py.py <port>. It empties the server."""

import sys

import redis


def check(port, protocol):
    client = redis.Redis("127.0.0.1", port, protocol=protocol, decode_responses=True)
    assert client.ping()
    client.flushall()

    assert client.set("k", "v") is True
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", get=True) == "v"
    assert client.set("t", "v", ex=100) and 99 <= client.ttl("t") <= 100
    assert client.expire("t", 200, gt=True) and client.persist("t") and client.ttl("t") == -1
    assert client.incr("n", 41) == 41 and client.decr("n") == 40
    assert client.mset({"a": 1, "b": 2}) and client.mget("a", "b", "c") == ["1", "2", None]
    assert client.append("k", "!") == 2 and client.strlen("k") == 2
    assert client.exists("a", "b", "c") == 2 and client.delete("a", "b", "c") == 2
    assert client.type("k") == "string"

    assert client.rpush("l", *"abcd") == 4 and client.lpush("l", "z") == 5
    assert client.lrange("l", 0, -1) == list("zabcd")
    assert client.lpop("l") == "z" and client.rpop("l", 2) == ["d", "c"] and client.llen("l") == 2

    assert client.sadd("s", *"abc") == 3 and client.smembers("s") == set("abc")
    assert client.sismember("s", "a") and client.srem("s", "a") == 1 and client.scard("s") == 2
    assert client.spop("s") in set("bc")

    assert client.hset("h", mapping={"f": "1", "g": "2"}) == 2
    assert client.hgetall("h") == {"f": "1", "g": "2"} and client.hget("h", "f") == "1"
    assert client.hdel("h", "f") == 1 and client.hlen("h") == 1

    keys = set(client.keys("*"))
    assert keys == set(client.scan_iter(count=2)) and client.dbsize() == len(keys)
    assert set(client.scan_iter(match="[lhs]", _type="list")) == {"l"}
    assert client.config_get("save") == {"save": ""}
    assert client.info()["redis_version"] and client.info("keyspace")["db0"]["keys"] == len(keys)
    assert client.client_setname("me") and client.client_getname() == "me"

    with client.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.set(f"p{number}", number).get(f"p{number}")
        replies = pipe.execute()
    assert replies == [reply for number in range(1000) for reply in (True, str(number))]

    for call, error in [
        (lambda: client.lpush("k", 1), "WRONGTYPE|Operation against a key"),
        (lambda: client.incr("l"), "WRONGTYPE|Operation against a key"),
        (lambda: client.execute_command("NONSENSE"), "unknown command 'NONSENSE'"),
        (lambda: client.execute_command("GET"), "wrong number of arguments for 'get' command"),
    ]:
        try:
            call()
        except redis.ResponseError as refused:
            assert any(text in str(refused) for text in error.split("|")), refused
        else:
            raise AssertionError(error)
    assert client.flushdb() and client.dbsize() == 0


for version in (2, 3):
    check(int(sys.argv[1]), version)
print(f"redis-py {redis.__version__}: as expected with RESP2 and RESP3")
