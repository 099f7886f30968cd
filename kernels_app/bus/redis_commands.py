"""The commands that the Redis transports send, and what their replies mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.resp import Argument, ReplyError
from kernels_app.bus.transport import Entry, GroupEntry, Publication, TransportError

PAYLOAD_FIELD = b"p"
# The server is up but cannot serve now (loading, replaced, out of memory, disk full): as if it were not there.
_PASSING_CODES = frozenset(
    {
        "LOADING", "MASTERDOWN", "READONLY", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "OOM", "MISCONF",
        "UNBLOCKED", "NOREPLICAS",
    }
)  # fmt: skip
# Redis 6 tells the error of a script's command in the middle of one of its own.
_SCRIPT_ERROR = "Error running script"
_STALE_ID = "equal or smaller than the target stream top item"

Command = tuple[Argument, ...]

# KEYS: lease, counter. ARGV: holder, milliseconds. The fencing number never goes back even when the
# server lost its data: it is at least the time in seconds.
ACQUIRE_LEASE = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then return false end
local fence = tonumber(redis.call('GET', KEYS[2]) or '0') + 1
local now = tonumber(redis.call('TIME')[1])
if now > fence then fence = now end
fence = string.format('%.0f', fence)
redis.call('SET', KEYS[2], fence)
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'fence', fence)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return fence
"""
# A lease that ran out (the server was away) comes back with its number if nobody took it meanwhile: who did has a
# higher one. A lower one is of a server that came back with older data.
RENEW_LEASE = """
local ours = tonumber(ARGV[3])
if tonumber(redis.call('GET', KEYS[2]) or '0') > ours then return 0 end
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder then
  local fence = tonumber(redis.call('HGET', KEYS[1], 'fence'))
  if fence > ours or (fence == ours and holder ~= ARGV[1]) then return 0 end
end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'fence', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
RELEASE_LEASE = """
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] and redis.call('HGET', KEYS[1], 'fence') == ARGV[2] then
  redis.call('DEL', KEYS[1])
end
return 1
"""

# KEYS: log. ARGV: id, payload field, payload, topic. What the log refuses is not told to listeners either: a writer
# that was superseded reaches nobody. (An error of XADD ends the script with that error.)
APPEND_AND_PUBLISH = """
local id = redis.call('XADD', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[3])
return id
"""


class Address(msgspec.Struct, frozen=True):
    """Where the server is. `path` for a unix socket, else `host` and `port`."""

    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = None
    is_tls: bool = False

    def greeting(self) -> list[Command]:
        """What is sent first on each connection."""
        commands: list[Command] = []
        if self.password is not None:
            user = (self.username,) if self.username else ()
            commands.append(("AUTH", *user, self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        return commands


def parse_address(url: str) -> Address:
    """From `unix:///path?db=0`, `redis://[user:password@]host[:port][/db]` or `rediss://…`.

    Raises ValueError when it is none; the message does not repeat the password.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else query.get("password", [None])[0]
    try:
        if parts.scheme == "unix":
            path = (f"/{parts.netloc}" if parts.netloc and not parts.password else "") + unquote(parts.path)
            return Address(
                path=path, database=int(query.get("db", ["0"])[0]), username=username, password=password
            )
        if parts.scheme in ("redis", "rediss"):
            database = parts.path.strip("/") or query.get("db", ["0"])[0]
            return Address(
                host=parts.hostname or "127.0.0.1",
                port=parts.port or 6379,
                database=int(database),
                username=username,
                password=password,
                is_tls=parts.scheme == "rediss",
            )
    except ValueError as error:
        raise ValueError("The Redis address has a port or database that is not a number.") from error
    raise ValueError(f"A Redis address starts with unix://, redis:// or rediss://, not {parts.scheme!r}.")


def cast_commands(topic: str, payload: bytes) -> list[Command]:
    """Publishes without a reply. Both are carried out while the server loads its data, too."""
    return [("CLIENT", "REPLY", "SKIP"), ("PUBLISH", topic, payload)]


def checked(reply: object) -> object:
    """The reply, unless it is an error. Raises TransportError for passing conditions, else its kind ReplyError."""
    if isinstance(reply, ReplyError):
        if _is_passing(reply):
            raise TransportError(str(reply)) from reply
        raise reply
    return reply


def _is_passing(error: ReplyError) -> bool:
    if error.code in _PASSING_CODES:
        return True
    text = str(error)
    return _SCRIPT_ERROR in text and any(word.lstrip("-") in _PASSING_CODES for word in text.split())


def is_stale_id(reply: object) -> bool:
    return isinstance(reply, ReplyError) and _STALE_ID in str(reply)


def write_commands(publications: Sequence[Publication]) -> list[Command]:
    """One command for each publication."""
    return [_write_command(item) for item in publications]


def _write_command(item: Publication) -> Command:
    if item.log is None:
        return ("PUBLISH", item.topic or "", item.payload)
    if item.topic is None:
        return ("XADD", item.log, item.entry_id or "*", PAYLOAD_FIELD, item.payload)
    return (
        "EVAL", APPEND_AND_PUBLISH, 1, item.log, item.entry_id or "*", PAYLOAD_FIELD, item.payload, item.topic,
    )  # fmt: skip


def write_results(publications: Sequence[Publication], replies: Iterable[object]) -> list[StreamId | None]:
    """Ids of log entries. Raises when a write failed for another reason than a stale id."""
    results: list[StreamId | None] = []
    for item, reply in zip(publications, replies, strict=True):
        if item.log is None:
            checked(reply)
            results.append(None)
        else:
            results.append(None if is_stale_id(reply) else as_id(checked(reply)))
    return results


def range_command(log: str, after: StreamId, count: int | None) -> Command:
    limit: Command = () if count is None else ("COUNT", count)
    return ("XRANGE", log, f"({after}", "+", *limit)


def last_id_command(log: str) -> Command:
    return ("XINFO", "STREAM", log)


def last_id_result(reply: object) -> StreamId | None:
    """From XINFO, which knows the last id even when every entry was trimmed."""
    if isinstance(reply, ReplyError) and "no such key" in str(reply).lower():
        return None
    fields = cast("list[object]", checked(reply))
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name == b"last-generated-id":
            found = as_id(value)
            return None if found == "0-0" else found
    return None


def trim_command(log: str, up_to: StreamId) -> Command:
    """XTRIM MINID keeps ids from the given one on, so it is given the next."""
    milliseconds, _, sequence = up_to.partition("-")
    return ("XTRIM", log, "MINID", "=", f"{milliseconds}-{int(sequence or 0) + 1}")


def lease_command(script: str, key: str, *arguments: Argument) -> Command:
    return ("EVAL", script, 2, key, f"{key}:fence", *arguments)


def put_command(key: str, value: bytes, ttl_s: float | None) -> Command:
    expiry: Command = () if ttl_s is None else ("PX", max(1, round(ttl_s * 1000)))
    return ("SET", key, value, *expiry)


def as_id(value: object) -> StreamId:
    return StreamId(cast(bytes, value).decode())


def as_entries(reply: object) -> list[Entry]:
    """From XRANGE or one stream of XREAD. Entries deleted meanwhile are left out."""
    found: list[Entry] = []
    for item in cast("list[list[object]]", reply or []):
        payload = _payload(item[1])
        if payload is not None:
            found.append(Entry(as_id(item[0]), payload))
    return found


def as_streams(reply: object) -> list[tuple[str, list[object]]]:
    """From XREAD and XREADGROUP: `(stream, entries)` pairs."""
    return [
        (cast(bytes, name).decode(), cast("list[object]", entries))
        for name, entries in cast("list[list[object]]", reply or [])
    ]


def as_group_entries(reply: object) -> tuple[list[GroupEntry], list[GroupEntry]]:
    """`(entries, forgotten)`: forgotten ones are pending still but their payload was trimmed."""
    entries: list[GroupEntry] = []
    forgotten: list[GroupEntry] = []
    for stream, items in as_streams(reply):
        for item in cast("list[list[object]]", items):
            payload = _payload(item[1])
            target = entries if payload is not None else forgotten
            target.append(GroupEntry(stream, as_id(item[0]), payload or b""))
    return entries, forgotten


def as_fields(reply: object) -> dict[str, bytes]:
    fields = cast("list[bytes]", reply)
    return {name.decode(): value for name, value in zip(fields[::2], fields[1::2], strict=True)}


def as_value(reply: object) -> bytes | None:
    return cast("bytes | None", reply)


def _payload(fields: object) -> bytes | None:
    """The payload field of an entry; entries of foreign shape are treated as absent."""
    pairs = cast("list[bytes] | None", fields)
    if not pairs:
        return None
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        if name == PAYLOAD_FIELD:
            return value
    return None
