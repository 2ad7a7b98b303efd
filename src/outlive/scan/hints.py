"""What names and types say to the judge: words, types and paths that hint at a class."""

from __future__ import annotations

import re

from outlive.scan.words import word_set

CACHE_WORDS = word_set("""
    cache caches cached memo memoized memoize lru caching precomputed prefetched""")
METRIC_WORDS = word_set("""
    metrics metric stats statistics counters histogram latency latencies timings hits misses perf telemetry uptime
    stat""")
LINK_WORDS = word_set("""
    connections connection sockets websockets subscribers listeners locks lock semaphores futures threads processes
    timers peers websocket conns waiters sids observers mutexes workers idle busy running streaming pipes servers
    sse procs greenlets coroutines streams transports""")
LINK_TYPES = re.compile(
    r"\b(WebSocket\w*|\w*Connection|\w*Socket|Task|Future|R?Lock|Semaphore|Event|\w*Queue|Thread|Process|Popen|StreamWriter|"
    r"StreamReader|\w*Transport|Client|AsyncClient|ClientSession|VoiceClient|VoiceProtocol|Timer|TimerHandle|Condition|"
    r"Subscription|WebSocketServerProtocol|WebSocketClientProtocol|WebSocketResponse|Executor|Job|SSHClient|Session|"
    r"MemoryObjectSendStream|Weak\w+|Server|CancelScope|Barrier|Subprocess|TelegramClient|Channel|socket|AsyncTask|Protocol)\b"
)
# names of live things that records of a domain bear too
AMBIGUOUS = frozenset({"Task", "Job", "Event", "Session", "Channel", "Subscription"})
LIVE_MODULES = word_set("""
    asyncio threading multiprocessing concurrent socket trio anyio curio gevent eventlet discord nextcord disnake
    aiohttp requests httpx sqlalchemy websockets zmq pika aio_pika grpc paramiko asyncssh redis celery kombu
    apscheduler schedule rq dramatiq builtins""")
LINK_CALLS = re.compile(
    r"(^|\.)(create_task|ensure_future|Lock|RLock|Semaphore|Event|Queue|Future|create_future|Thread|Timer|Popen|Process|"
    r"Condition|call_later|create_subprocess_\w+|open_connection|start_server|WebSocketResponse|accept|connect|ClientSession|"
    r"AsyncClient|SimpleQueue|run_coroutine_threadsafe|BoundedSemaphore|PriorityQueue|weakref\.proxy|weakref\.ref|LifoQueue|get_running_loop|socket)$"
)
LINK_KEYS = re.compile(r"\b(socket|\w*Socket|StreamWriter|\w*Transport|\w*Connection)$")
LIVE_FIELDS = word_set("""
    ws websocket writer sock socket conn connection transport process proc popen thread stream peer greenlet
    _ws _websocket _writer _sock _socket _conn _connection _transport _process _proc _thread _stream _peer""")
LIVE_OWNERS = frozenset({("session",), ("connection",), ("client",), ("peer",), ("conn",), ("remote",)})
CALLABLE_TYPES = re.compile(
    r"\b(Callable|type|Type|Handler|Plugin|Coroutine|Awaitable|Command|ModuleType|Blueprint|Factory)\b"
)
REGISTER_WORDS = word_set("""
    registry registered handlers handler plugins plugin hooks hook callbacks callback providers factories methods
    middlewares extensions routes adapters converters parsers serializers encoders decoders backends loaders
    validators codecs cogs""")
SETTINGS = frozenset({"settings", "config", "configuration", "options", "defaults", "default"})
SETTING_UP = frozenset({"setup", "init", "initialize", "configure", "bootstrap", "discover", "load", "unload"})
ALWAYS_REGISTER = word_set("""
    plugin plugins hook hooks callback callbacks middleware middlewares extensions handlers receivers listeners
    registry""")
TEST_PATHS = re.compile(
    r"(^|/)(tests?|testing|mocks?|fakes?|fixtures|conftest\.py$|test_[^/]*\.py$|[^/]*_test\.py$|tests\.py$)(/|$)"
)
TEST_CLASS = re.compile(r"^_?(Fake|Mock|Stub|Dummy|Spy|Test[A-Z])|(Mock|Stub|Fake|Double|TestCase|Tests)$")
EPHEMERAL_WORDS = word_set("""
    warned deprecated once cooldown cooldowns cd cds throttle debounce ratelimit limiter ratelimiter backoff
    inflight dirty""")
ORM_CALLS = word_set("""
    commit add create save execute fetch scalars filter insert get_or_none bulk_create all""")
EXAMPLE_PATHS = re.compile(
    r"(^|/)(benchmarks?|docs|scripts|tools|migrations|alembic|setup\.py$|noxfile\.py$|conf\.py$|versions)(/|$)"
)
PLAIN = word_set("""
    int float str bytes bool datetime date Decimal count""")
INNER = frozenset({"middleware", "callback", "event", "signal", "asyncio", "protocol", "executor", "subscribe"})
OWN_DOORS = frozenset({"own", "wsgi", "asgi", "convention", "loop", "threading", "http.server", "socketserver"})
COUNT_WORDS = frozenset({"counts", "count", "total", "totals"})
TRAFFIC_WORDS = frozenset({"request", "requests", "error", "errors", "call", "calls"})
OWN_FILES = word_set("""
    config configs configuration conf cfg settings options preferences prefs credentials credential auth token tokens
    cookies cookie version manifest package translation translations locale""")
SECRETS = frozenset({"auth", "credential", "credentials", "cookie", "cookies"})
LEGACY_WORDS = frozenset({"legacy", "deprecated", "obsolete", "old"})
