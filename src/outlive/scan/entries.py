"""Where the outside world, or time, runs code: routes, bot commands, message handlers, timers, threads, loops.

find(files, resolver)  ->  {scope: Entry}
reach(entries, graph)  ->  {scope: the entries that lead to it, nearest first}
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import replace

from outlive.scan.catalogue import Entry
from outlive.scan.graph import Graph
from outlive.scan.resolve import At, Resolver
from outlive.scan.summary import Call, Decorator, Scope, Summary, Val

MOST_ENTRIES = 8
OUTSIDE = frozenset({"http", "bot", "message", "websocket"})
HTTP = frozenset(
    {
        "get", "post", "put", "patch", "delete", "head", "options", "route", "api_route", "websocket", "websocket_route",
        "api_view", "action", "view", "view_config", "expose", "handler", "endpoint", "errorhandler", "before_request",
        "after_request", "teardown_request", "middleware", "exception_handler", "http", "before_app_request", "query",
        "mutation", "field", "require_http_methods", "require_GET", "require_POST", "login_required", "csrf_exempt",
        "add_route", "rpc", "jsonrpc", "doc", "cbv",
    }
)  # fmt: skip
ON_INSTANCE_ONLY = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "query", "field", "handler", "view", "doc"}
)
BOT = frozenset(
    {
        "command", "hybrid_command", "slash_command", "user_command", "message_command", "listener", "event", "group",
        "message_handler", "callback_query_handler", "inline_handler", "on_message", "on_callback_query", "callback_query",
        "message", "edited_message", "channel_post", "inline_query", "hybrid_group", "subcommand", "listen", "on_command",
        "button", "on_edited_message", "chat_member_handler", "channel_post_handler", "my_chat_member", "component_callback",
        "on_update", "autocomplete", "register_message_handler", "shortcut", "modal", "error_handler", "interaction_handler",
        "on_inline_query", "context_menu", "poll_answer_handler", "cmd", "on_chat_member_updated", "chosen_inline_handler",
    }
)  # fmt: skip
MESSAGE = frozenset(
    {
        "subscribe", "subscriber", "on", "consumer", "consume", "agent", "on_event", "message_callback", "topic_callback",
        "handle", "receiver", "callback", "rabbit_queue", "stream", "on_connect", "on_disconnect", "tool",
        "resource", "prompt", "list_tools", "call_tool", "read_resource", "register_function", "feature", "method", "signal",
        "connect", "incoming", "entrypoint", "service", "kernel_function", "function_tool",
    }
)  # fmt: skip
TASK = frozenset({"task", "shared_task", "job", "actor", "periodic_task", "background_task", "flow", "db_task"})
SCHEDULE = frozenset(
    {"scheduled_job", "loop", "repeat_every", "cron", "repeat", "interval", "every", "schedule", "db_periodic_task"}
)
STARTUP = frozenset({"startup", "shutdown", "lifespan", "before_serving", "after_serving", "before_first_request", "before_server_start",
                     "after_server_start", "before_server_stop", "on_startup", "on_shutdown", "cleanup", "worker_init", "listener_startup"})  # fmt: skip
CLI = frozenset({"argument", "option", "click", "cli"})
DISCORD = (
    "discord",
    "interactions",
    "hikari",
    "disnake",
    "nextcord",
    "telebot",
    "telegram",
    "aiogram",
    "pyrogram",
    "telethon",
    "slack",
    "twitchio",
    "irc",
    "nio",
    "vk",
)
CLICK = ("click", "typer", "flask.cli", "app.cli")

CLASS_METHODS: tuple[tuple[tuple[str, ...], str, str, tuple[str, ...]], ...] = (
    (("BaseHTTPRequestHandler", "SimpleHTTPRequestHandler", "CGIHTTPRequestHandler"), "http", "http.server", ("do_",)),
    (("BaseRequestHandler", "StreamRequestHandler", "DatagramRequestHandler"), "message", "socketserver", ("handle",)),
    (("WebSocketHandler", "WebSocketEndpoint", "WebsocketConsumer", "AsyncWebsocketConsumer", "JsonWebsocketConsumer",
      "AsyncJsonWebsocketConsumer", "SockJSConnection", "WebSocketServerProtocol", "WebSocketApplication"), "websocket", "websocket",
     ("on_", "open", "receive", "connect", "disconnect", "websocket_", "onMessage", "onOpen", "onClose")),
    (("RequestHandler", "View", "APIView", "ViewSet", "ModelViewSet", "GenericViewSet", "HTTPEndpoint", "MethodView", "Resource",
      "Controller", "GenericAPIView", "ListAPIView", "HTTPMethodView", "TemplateView", "FormView", "FlaskView", "BaseView",
      "CreateView", "UpdateView", "DeleteView", "ListView", "DetailView", "ReadOnlyModelViewSet", "ListCreateAPIView",
      "RetrieveUpdateDestroyAPIView", "CreateAPIView", "ViewSetMixin", "Namespace", "PageHandler"), "http", "http",
     ("get", "post", "put", "patch", "delete", "head", "options", "list", "create", "retrieve", "update", "destroy",
      "partial_update", "dispatch", "prepare", "on_", "form_valid", "perform_", "get_")),
    (("Cog", "AutoShardedBot", "Bot", "AutoShardedClient", "GroupCog", "Extension", "Scale"), "bot", "bot",
     ("on_", "setup_hook")),
    (("View", "Modal", "Button", "Select", "DynamicItem"), "bot", "discord.ui", ("callback", "on_submit", "on_timeout", "interaction_check")),
    (("Thread", "Process", "QThread", "Timer"), "thread", "threading", ("run",)),
    (("Protocol", "DatagramProtocol", "BufferedProtocol", "LineReceiver", "LineOnlyReceiver", "Int32StringReceiver",
      "NetstringReceiver", "BaseProtocol"), "message", "protocol",
     ("data_received", "datagram_received", "connection_made", "connection_lost", "lineReceived", "dataReceived", "connectionMade",
      "connectionLost", "stringReceived", "rawDataReceived")),
    (("FileSystemEventHandler", "PatternMatchingEventHandler"), "message", "watchdog", ("on_",)),
    (("StreamListener", "EventHandler", "SingleServerIRCBot", "ClientXMPP"), "bot", "listener", ("on_",)),
    (("async_chat", "dispatcher"), "message", "asyncore", ("handle_", "found_terminator", "collect_incoming_data")),
    (("SMTPServer",), "message", "smtpd", ("process_message",)),
    (("BaseHTTPMiddleware", "MiddlewareMixin", "AbstractMiddleware", "BaseMiddleware"), "http", "middleware",
     ("dispatch", "process_", "__call__")),
    (("Cmd",), "cli", "cmd", ("do_",)),
    (("DataUpdateCoordinator", "Entity", "SensorEntity"), "schedule", "homeassistant", ("_async_update_data", "async_update", "update")),
    (("Task",), "task", "celery", ("run",)),
    (("Agent",), "message", "actor", ("on_", "receive")),
    (("Actor", "ThreadingActor"), "message", "actor", ("",)),
)  # fmt: skip

RUNNERS = frozenset(
    {
        "serve_forever",
        "run_forever",
        "run_polling",
        "start_polling",
        "infinity_polling",
        "mainloop",
        "run_app",
        "loop_forever",
    }
)
TALKS = frozenset(
    {
        "celery", "nats", "paho", "apscheduler", "schedule", "discord", "telegram", "telebot", "aiogram", "pyrogram",
        "telethon", "rq", "dramatiq", "huey", "pika", "aio_pika", "kafka", "aiokafka", "socketserver", "zmq",
        "twisted", "grpc", "slack_bolt", "nextcord", "disnake", "pykka", "asyncore", "irc", "nio", "slixmpp",
    }
)  # fmt: skip
APPLICATIONS = frozenset(
    {
        "FastAPI", "Flask", "Starlette", "Quart", "Sanic", "Bottle", "Litestar", "Application", "Bot", "AutoShardedBot",
        "TeleBot", "AsyncTeleBot", "App", "AsyncApp", "Updater", "ApplicationBuilder", "Celery", "SocketIO", "HTTPServer",
        "ThreadingHTTPServer", "TCPServer", "ThreadingTCPServer", "UDPServer", "start_server", "create_server", "accept",
        "create_datagram_endpoint", "Dispatcher", "FastMCP", "SimpleXMLRPCServer", "WSGIServer", "make_server", "Falcon",
        "TelegramClient", "AutoShardedClient", "start_unix_server", "listenTCP", "BlockingScheduler", "AsyncServer", 
        "Client", "NATS", "KafkaConsumer", "run_pending",
    }
)  # fmt: skip
REGISTER: dict[str, tuple[str, str]] = {
    "add_handler": ("bot", "telegram"), "add_command": ("bot", "discord"), "add_route": ("http", "http"),
    "add_url_rule": ("http", "flask"), "add_api_route": ("http", "fastapi"), "add_api_websocket_route": ("websocket", "fastapi"),
    "add_get": ("http", "aiohttp"), "add_post": ("http", "aiohttp"), "add_put": ("http", "aiohttp"), "add_patch": ("http", "aiohttp"),
    "add_delete": ("http", "aiohttp"), "add_websocket_route": ("websocket", "starlette"), "add_job": ("schedule", "apscheduler"),
    "do": ("schedule", "schedule"), "call_later": ("schedule", "asyncio"), "call_soon": ("task", "asyncio"),
    "run_repeating": ("schedule", "telegram"), "run_daily": ("schedule", "telegram"), "run_once": ("schedule", "telegram"),
    "create_task": ("task", "asyncio"), "ensure_future": ("task", "asyncio"), "start_soon": ("task", "anyio"),
    "add_task": ("task", "background"), "start_background_task": ("task", "socketio"), "submit": ("task", "executor"),
    "run_in_executor": ("task", "executor"), "subscribe": ("message", "subscribe"), "message_callback_add": ("message", "mqtt"),
    "basic_consume": ("message", "amqp"), "consume": ("message", "amqp"), "add_event_handler": ("bot", "event"),
    "add_listener": ("bot", "event"), "on": ("message", "event"), "start_server": ("message", "asyncio"),
    "start_unix_server": ("message", "asyncio"), "serve": ("websocket", "websockets"), "create_server": ("message", "asyncio"),
    "register_function": ("message", "xmlrpc"), "register_instance": ("message", "xmlrpc"), "start_new_thread": ("thread", "thread"),
    "map": ("", ""), "bind": ("message", "event"), "observe": ("message", "event"), "connect": ("message", "signal"),
    "register_message_handler": ("bot", "aiogram"), "register_callback_query_handler": ("bot", "aiogram"),
    "register_next_step_handler": ("bot", "telebot"), "set_callback": ("message", "callback"), "listen": ("message", "event"),
    "add_callback": ("message", "callback"), "add_done_callback": ("task", "asyncio"), "after": ("schedule", "tk"),
    "start_polling": ("bot", "bot"), "register": ("", ""), "add_signal_handler": ("startup", "signal"), "handle": ("message", "event"),
    "register_listener": ("message", "event"), "async_register": ("message", "homeassistant"), "track_time_interval": ("schedule", "homeassistant"),
    "async_track_time_interval": ("schedule", "homeassistant"), "spawn": ("thread", "gevent"), "start_soon_threadsafe": ("task", "asyncio"),
    "run_until_complete": ("cli", "asyncio"), "asyncio.run": ("cli", "asyncio"), "register_blueprint": ("", ""),
    "add_url": ("http", "http"), "add_middleware": ("http", "middleware"), "add_subscriber": ("message", "event"),
    "register_handler": ("message", "event"), "add_view": ("http", "http"), "on_message": ("message", "event"),
    "run_forever": ("", ""), "create_periodic_task": ("schedule", "schedule"), "every": ("schedule", "schedule"),
}  # fmt: skip
CONSTRUCTORS: dict[str, tuple[str, str]] = {
    "Thread": ("thread", "threading"), "Timer": ("schedule", "threading"), "Process": ("thread", "multiprocessing"),
    "Route": ("http", "starlette"), "WebSocketRoute": ("websocket", "starlette"), "path": ("http", "django"),
    "re_path": ("http", "django"), "url": ("http", "django"), "CommandHandler": ("bot", "telegram"),
    "MessageHandler": ("bot", "telegram"), "CallbackQueryHandler": ("bot", "telegram"), "InlineQueryHandler": ("bot", "telegram"),
    "PrefixHandler": ("bot", "telegram"), "TypeHandler": ("bot", "telegram"), "RegexHandler": ("bot", "telegram"),
    "ChatMemberHandler": ("bot", "telegram"), "PollAnswerHandler": ("bot", "telegram"), "StringCommandHandler": ("bot", "telegram"),
    "PeriodicCallback": ("schedule", "tornado"), "WebSocketApp": ("websocket", "websocket"), "DispatcherHandler": ("bot", "pyrogram"),
    "RepeatedTimer": ("schedule", "threading"), "LoopingCall": ("schedule", "twisted"), "ConversationHandler": ("bot", "telegram"),
    "FilteredHandler": ("bot", "bot"), "HTTPServer": ("http", "http.server"), "ThreadingHTTPServer": ("http", "http.server"),
    "BackgroundTask": ("task", "starlette"), "FunctionTool": ("message", "tool"), "HTTPRouteHandler": ("http", "litestar"),
    "ThreadPoolExecutor": ("", ""), "Greenlet": ("thread", "gevent"), "Rule": ("http", "werkzeug"),
}  # fmt: skip
CALLBACK_ATTRIBUTES = (
    "on_message",
    "on_connect",
    "on_disconnect",
    "on_open",
    "on_close",
    "on_error",
    "on_publish",
    "callback",
    "on_data",
    "on_event",
)


def find(files: dict[str, Summary], resolver: Resolver) -> dict[At, Entry]:
    """Every door, by the scope that it opens."""
    finder = _Finder(files, resolver)
    for path, file in files.items():
        for qual, scope in file.scopes.items():
            finder.scope((path, qual), scope)
    return finder.found


class _Finder:
    def __init__(self, files: dict[str, Summary], resolver: Resolver) -> None:
        self.files = files
        self.resolver = resolver
        self.found: dict[At, Entry] = {}

    def scope(self, at: At, scope: Scope) -> None:
        if scope.kind == "function":
            for decorator in scope.decorators:
                entry = self._decorated(at, scope, decorator)
                if entry is not None:
                    self._add(at, entry)
                    break
            self._loop(at, scope)
        elif scope.kind == "class":
            self._class(at, scope)
        for call in scope.calls:
            self._registered(at, call)
        for bind in scope.binds:
            name = bind.target.rsplit(".", 1)[-1]
            if (
                "." in bind.target
                and name in CALLBACK_ATTRIBUTES
                and bind.value[0] == "p"
                and not bind.target.startswith("self.")
            ):
                self._targets(at, bind.value, Entry("message", "callback", name, at[0], bind.line))
        if (
            scope.name in {"lifespan", "main", "startup", "on_startup", "create_app", "make_app"}
            and at not in self.found
        ):
            kind = "cli" if scope.name == "main" else "startup"
            self._add(at, Entry(kind, "python", scope.name, at[0], scope.line), weak=True)
        if scope.kind == "function" and not scope.parent:
            names = [each.name for each in scope.params]
            if names in (["environ", "start_response"], ["scope", "receive", "send"]):
                self._add(at, Entry("http", "wsgi" if len(names) == 2 else "asgi", scope.name, at[0], scope.line))

    def _add(self, at: At, entry: Entry, *, weak: bool = False) -> None:
        known = self.found.get(at)
        if known is None or (not weak and known.kind in {"startup", "cli"}):
            self.found[at] = entry

    def _decorated(self, at: At, scope: Scope, decorator: Decorator) -> Entry | None:
        base, _, name = decorator.path.rpartition(".")
        outer = (at[0], scope.parent)
        refs = self.resolver.resolve(outer, decorator.path)
        if any(ref.kind in {"func", "class"} for ref in refs):
            return None
        origin = next((ref.key[0] for ref in refs if ref.kind == "ext"), "") or self._origin(outer, base or name)
        if origin.startswith(
            ("functools", "contextlib", "abc.", "typing", "dataclasses", "pytest", "unittest", "builtins", "hypothesis")
        ):
            return None
        kind = self._kind(base, name, origin, decorator)
        if not kind:
            return None
        title = _title(kind, base, name, scope, decorator)
        if kind in {"http", "websocket"}:
            verb, _, path = title.partition(" ")
            title = f"{verb} {self._prefix(outer, base)}{path}"
        return Entry(kind, _framework(origin), title, at[0], scope.line)

    def _prefix(self, at: At, base: str) -> str:
        """What a router or blueprint puts before its paths, empty when it says nothing."""
        scope: Scope | None = self.resolver.scope(at)
        while scope is not None:
            for bind in scope.binds:
                if bind.target == base and bind.value[0] == "c":
                    stated = dict(bind.value[3])
                    return next(
                        (
                            _text(stated[each])
                            for each in ("prefix", "url_prefix")
                            if each in stated and stated[each][0] == "l"
                        ),
                        "",
                    )
            scope = self.files[at[0]].scopes[scope.parent] if scope.qual else None
        return ""

    def _origin(self, at: At, path: str) -> str:
        root = path.split(".")[0].split("(")[0]
        refs = self.resolver.resolve(at, path) or self.resolver.name(at, root)
        return next((ref.key[0] for ref in refs if ref.kind == "ext"), "")

    def _kind(self, base: str, name: str, origin: str, decorator: Decorator) -> str:
        if name in {"setter", "getter", "deleter", "register", "validator", "fixture", "parametrize", "patch", "cache"}:
            return ""
        if (
            origin.startswith(CLICK)
            or base.endswith(("cli", ".cli"))
            or (name in {"command", "group"} and "click" in base)
        ):
            return "cli"
        if name in {"on_event", "listener", "on", "connect"} and decorator.args and _text(decorator.args[0]) in STARTUP:
            return "startup"
        if name in STARTUP or (base.endswith(("on_startup", "on_shutdown")) and not decorator.called):
            return "startup"
        if name in {"websocket", "websocket_route"}:
            return "websocket"
        if name in SCHEDULE and (base or origin):
            return "schedule"
        if name in TASK:
            return "task"
        if name in BOT and base and not (name in {"group", "command"} and origin.startswith(CLICK)):
            return "bot" if name != "event" or "socket" not in origin else "message"
        if name in HTTP and (
            base or name not in ON_INSTANCE_ONLY or "litestar" in origin or "sanic" in origin or "bottle" in origin
        ):
            return "http"
        if name in MESSAGE and base and decorator.called or name in {"tool"}:
            return "message"
        return (
            "bot"
            if base and origin.startswith(DISCORD) and decorator.called and not name.startswith(("check", "has_"))
            else ""
        )

    def _loop(self, at: At, scope: Scope) -> None:
        """An endless loop that waits for something is a door, unless a better one is known."""
        if not scope.loops or at in self.found:
            return
        kind = "cli" if scope.loops in {"input", "prompt", "raw_input"} else "thread"
        self._add(at, Entry(kind, "loop", f"loop in {scope.name}", at[0], scope.line), weak=True)

    def _class(self, at: At, scope: Scope) -> None:
        inside, outside = self.resolver.bases(at)
        names = {each.rsplit(".", 1)[-1].rstrip("()") for each in outside}
        grpc = any(
            each.endswith(("Servicer", "Base")) and "grpc" in each.lower() or each.endswith("Servicer")
            for each in names
        )
        for bases, kind, framework, prefixes in CLASS_METHODS:
            if not names.intersection(bases):
                continue
            if (
                kind == "bot"
                and not any(each.startswith(DISCORD) for each in outside)
                and names.intersection({"Client", "View", "Button", "Select"})
            ):
                continue
            self._methods(at, kind, framework, prefixes)
        if grpc:
            self._methods(at, "message", "grpc", ("",))
        for bind in scope.binds:
            if bind.target in {"get", "post"} and bind.value[0] == "p":
                self._targets(at, bind.value, Entry("http", "http", bind.target.upper(), at[0], bind.line))

    def _methods(self, at: At, kind: str, framework: str, prefixes: tuple[str, ...]) -> None:
        for qual, scope in self.files[at[0]].scopes.items():
            if (
                scope.parent != at[1]
                or scope.kind != "function"
                or scope.name.startswith("__")
                and scope.name != "__call__"
            ):
                continue
            if any(
                scope.name == each or (each.endswith("_") or not each) and scope.name.startswith(each)
                for each in prefixes
            ):
                title = scope.name.removeprefix("do_")
                self._add((at[0], qual), Entry(kind, framework, f"{at[1]}.{title}", at[0], scope.line))

    def _registered(self, at: At, call: Call) -> None:
        name = call.path.rsplit(".", 1)[-1]
        kind, framework = REGISTER.get(name) or CONSTRUCTORS.get(name) or ("", "")
        if any(each[0] == "l" and each[1] == "str" and each[2].startswith("/") for each in call.args):
            kind, framework = (kind, framework) if kind in {"http", "websocket"} else ("http", "http")
        if not kind:
            return
        if call.path.endswith(("event.listen", "event.listens_for")):
            return
        if name in {"on", "connect", "bind", "handle", "listen", "observe", "register"} and not call.args:
            return
        title = next((f"{each[2]}" for each in call.args if each[0] == "l" and each[1] == "str"), "")
        label = {"http": f"{name.removeprefix('add_').upper()} {title}" if name in _VERBS else title}.get(kind, title)
        entry = Entry(kind, framework, label or f"{name} at line {call.line}", at[0], call.line)
        for value in (*call.args, *(each for _, each in call.kwargs)):
            self._targets(at, value, entry)
            if value[0] == "k":
                for _, inner, _ in value[4]:
                    self._targets(at, inner, entry)

    def _targets(self, at: At, value: Val, entry: Entry) -> None:
        if value[0] == "c" and value[1].endswith(".as_view"):
            entry = replace(entry, framework="http")
        if value[0] == "c":
            if entry.kind in {"task", "cli"} or value[1].endswith((".as_view", "partial")):
                inner = (
                    value[2][0]
                    if value[1].endswith("partial") and value[2]
                    else ("p", value[1].removesuffix(".as_view"))
                )
                self._targets(at, inner, entry)
            return
        if value[0] != "p":
            return
        for ref in self.resolver.value(at, value):
            if ref.kind == "func":
                name = entry.name if "line" not in entry.name else self.resolver.scope((ref.key[0], ref.key[1])).name
                self._add((ref.key[0], ref.key[1]), Entry(entry.kind, entry.framework, name, entry.path, entry.line))
            elif ref.kind in {"class", "inst"} and entry.kind in {"http", "message", "websocket"}:
                self._methods(
                    (ref.key[0], ref.key[1]),
                    entry.kind,
                    entry.framework,
                    ("get", "post", "put", "patch", "delete", "on_", "handle_", "__call__", "dispatch"),
                )


_VERBS = frozenset({"add_get", "add_post", "add_put", "add_patch", "add_delete"})


def _framework(origin: str) -> str:
    return origin.split(".")[0].rstrip("()") or "python"


def _text(value: Val) -> str:
    return str(value[2]) if value[0] == "l" else value[1].rsplit(".", 1)[-1] if value[0] == "p" else ""


def _title(kind: str, base: str, name: str, scope: Scope, decorator: Decorator) -> str:
    first = next((each[2] for each in decorator.args if each[0] == "l" and each[1] == "str"), "")
    stated = dict(decorator.kwargs)
    if kind in {"http", "websocket"}:
        path = (
            first
            or next((_text(stated[each]) for each in ("path", "rule", "url_path") if each in stated), "")
            or f"/{scope.name}"
        )
        verb = {"route": "GET", "api_route": "GET", "websocket": "WS", "websocket_route": "WS"}.get(name, name.upper())
        methods = stated.get("methods")
        if methods is not None and methods[0] in {"k", "t"}:
            found = [_text(each) for each in (methods[1] if methods[0] == "t" else [one for _, one, _ in methods[4]])]
            verb = ",".join(found) or verb
        return f"{verb} {path}"
    if kind == "bot":
        return _text(stated["name"]) if "name" in stated else first or scope.name
    if kind == "schedule":
        return (
            f"{scope.name} every " + ", ".join(f"{key} {_text(each)}" for key, each in decorator.kwargs)
            if decorator.kwargs
            else scope.name
        )
    return first or scope.name


def reach(entries: dict[At, Entry], graph: Graph) -> dict[At, tuple[Entry, ...]]:
    """The entries that lead to each scope, nearest first, at most MOST_ENTRIES; a door leads to itself."""
    found: dict[At, dict[Entry, None]] = defaultdict(dict)
    queue: deque[tuple[At, Entry]] = deque((at, entry) for at, entry in entries.items())
    for at, entry in queue:
        found[at][entry] = None
    while queue:
        at, entry = queue.popleft()
        for target in graph.edges.get(at, ()):
            known = found[target]
            if entry not in known and len(known) < MOST_ENTRIES:
                known[entry] = None
                queue.append((target, entry))
    return {at: tuple(each) for at, each in found.items()}


def runs(path: str) -> bool:
    """Whether a call hands the process over to a server, a bot or an event loop."""
    return path.rsplit(".", 1)[-1] in RUNNERS or path in {
        "app.run",
        "bot.run",
        "client.run",
        "uvicorn.run",
        "reactor.run",
    }


def applies(file: Summary) -> bool:
    """Whether a file makes an application, rather than parts for those of others."""
    if file.path.endswith(("manage.py", "wsgi.py", "asgi.py", "urls.py")):
        return True
    if any(each.module.split(".")[0] in TALKS for each in file.scopes[""].imports):
        return True
    return any(
        runs(call.path) or call.path.rsplit(".", 1)[-1] in APPLICATIONS
        for scope in file.scopes.values()
        for call in scope.calls
    )


def started(files: dict[str, Summary], entries: dict[At, Entry], graph: Graph) -> set[At]:
    """The functions that importing a module, a main function or a start-up hook runs."""
    queue = deque(
        (path, qual) for path, file in files.items() for qual, scope in file.scopes.items() if scope.kind != "function"
    )
    queue.extend(at for at, entry in entries.items() if entry.kind in {"startup", "cli"})
    found = set(queue)
    while queue:
        for target in graph.edges.get(queue.popleft(), ()):
            if target not in found:
                found.add(target)
                queue.append(target)
    return found


def serving(entries: Iterator[Entry] | tuple[Entry, ...]) -> bool:
    """Whether one of the entries is more than start-up or a command that ends."""
    return any(each.kind not in {"startup", "cli"} or each.framework in {"loop", "cmd"} for each in entries)
