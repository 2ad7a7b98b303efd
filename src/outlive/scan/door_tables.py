"""Which decorators, base classes and calls open a door, by framework."""

from __future__ import annotations

from outlive.scan.words import word_set

HTTP = word_set("""
    get post put patch delete head options route api_route websocket websocket_route api_view action view
    view_config expose handler endpoint errorhandler before_request after_request teardown_request middleware
    exception_handler http before_app_request query mutation field require_http_methods require_GET require_POST
    login_required csrf_exempt add_route rpc jsonrpc doc cbv""")
ON_INSTANCE_ONLY = word_set("""
    get post put patch delete head options query field handler view doc""")
BOT = word_set("""
    command hybrid_command slash_command user_command message_command listener event group message_handler
    callback_query_handler inline_handler on_message on_callback_query callback_query message edited_message
    channel_post inline_query hybrid_group subcommand listen on_command button on_edited_message chat_member_handler
    channel_post_handler my_chat_member component_callback on_update autocomplete register_message_handler shortcut
    modal error_handler interaction_handler on_inline_query context_menu poll_answer_handler cmd
    on_chat_member_updated chosen_inline_handler""")
MESSAGE = word_set("""
    subscribe subscriber on consumer consume agent on_event message_callback topic_callback handle receiver callback
    rabbit_queue stream on_connect on_disconnect tool resource prompt list_tools call_tool read_resource
    register_function feature method signal connect incoming entrypoint service kernel_function function_tool""")
TASK = frozenset({"task", "shared_task", "job", "actor", "periodic_task", "background_task", "flow", "db_task"})
SCHEDULE = word_set("""
    scheduled_job loop repeat_every cron repeat interval every schedule db_periodic_task""")
STARTUP = word_set("""
    startup shutdown lifespan before_serving after_serving before_first_request before_server_start
    after_server_start before_server_stop on_startup on_shutdown cleanup worker_init listener_startup""")
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
    (
        (
            "WebSocketHandler",
            "WebSocketEndpoint",
            "WebsocketConsumer",
            "AsyncWebsocketConsumer",
            "JsonWebsocketConsumer",
            "AsyncJsonWebsocketConsumer",
            "SockJSConnection",
            "WebSocketServerProtocol",
            "WebSocketApplication",
        ),
        "websocket",
        "websocket",
        ("on_", "open", "receive", "connect", "disconnect", "websocket_", "onMessage", "onOpen", "onClose"),
    ),
    (
        (
            "RequestHandler",
            "View",
            "APIView",
            "ViewSet",
            "ModelViewSet",
            "GenericViewSet",
            "HTTPEndpoint",
            "MethodView",
            "Resource",
            "Controller",
            "GenericAPIView",
            "ListAPIView",
            "HTTPMethodView",
            "TemplateView",
            "FormView",
            "FlaskView",
            "BaseView",
            "CreateView",
            "UpdateView",
            "DeleteView",
            "ListView",
            "DetailView",
            "ReadOnlyModelViewSet",
            "ListCreateAPIView",
            "RetrieveUpdateDestroyAPIView",
            "CreateAPIView",
            "ViewSetMixin",
            "Namespace",
            "PageHandler",
        ),
        "http",
        "http",
        (
            "get",
            "post",
            "put",
            "patch",
            "delete",
            "head",
            "options",
            "list",
            "create",
            "retrieve",
            "update",
            "destroy",
            "partial_update",
            "dispatch",
            "prepare",
            "on_",
            "form_valid",
            "perform_",
            "get_",
        ),
    ),
    (
        ("Cog", "AutoShardedBot", "Bot", "AutoShardedClient", "GroupCog", "Extension", "Scale"),
        "bot",
        "bot",
        ("on_", "setup_hook"),
    ),
    (
        ("View", "Modal", "Button", "Select", "DynamicItem"),
        "bot",
        "discord.ui",
        ("callback", "on_submit", "on_timeout", "interaction_check"),
    ),
    (("Thread", "Process", "QThread", "Timer"), "thread", "threading", ("run",)),
    (
        (
            "Protocol",
            "DatagramProtocol",
            "BufferedProtocol",
            "LineReceiver",
            "LineOnlyReceiver",
            "Int32StringReceiver",
            "NetstringReceiver",
            "BaseProtocol",
        ),
        "message",
        "protocol",
        (
            "data_received",
            "datagram_received",
            "connection_made",
            "connection_lost",
            "lineReceived",
            "dataReceived",
            "connectionMade",
            "connectionLost",
            "stringReceived",
            "rawDataReceived",
        ),
    ),
    (("FileSystemEventHandler", "PatternMatchingEventHandler"), "message", "watchdog", ("on_",)),
    (("StreamListener", "EventHandler", "SingleServerIRCBot", "ClientXMPP"), "bot", "listener", ("on_",)),
    (("async_chat", "dispatcher"), "message", "asyncore", ("handle_", "found_terminator", "collect_incoming_data")),
    (("SMTPServer",), "message", "smtpd", ("process_message",)),
    (
        ("BaseHTTPMiddleware", "MiddlewareMixin", "AbstractMiddleware", "BaseMiddleware"),
        "http",
        "middleware",
        ("dispatch", "process_", "__call__"),
    ),
    (("Cmd",), "cli", "cmd", ("do_",)),
    (
        ("DataUpdateCoordinator", "Entity", "SensorEntity"),
        "schedule",
        "homeassistant",
        ("_async_update_data", "async_update", "update"),
    ),
    (("Task",), "task", "celery", ("run",)),
    (("Agent",), "message", "actor", ("on_", "receive")),
    (("Actor", "ThreadingActor"), "message", "actor", ("",)),
)
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
TALKS = word_set("""
    celery nats paho apscheduler schedule discord telegram telebot aiogram pyrogram telethon rq dramatiq huey pika
    aio_pika kafka aiokafka socketserver zmq twisted grpc slack_bolt nextcord disnake pykka asyncore irc nio slixmpp
    websockets""")
APPLICATIONS = word_set("""
    FastAPI Flask Starlette Quart Sanic Bottle Litestar Application Bot AutoShardedBot TeleBot AsyncTeleBot App
    AsyncApp Updater ApplicationBuilder Celery SocketIO HTTPServer ThreadingHTTPServer TCPServer ThreadingTCPServer
    UDPServer start_server create_server accept create_datagram_endpoint Dispatcher FastMCP SimpleXMLRPCServer
    WSGIServer make_server Falcon TelegramClient AutoShardedClient start_unix_server listenTCP BlockingScheduler
    AsyncServer Client NATS KafkaConsumer run_pending""")
REGISTER: dict[str, tuple[str, str]] = {
    "add_handler": ("bot", "telegram"),
    "add_command": ("bot", "discord"),
    "add_route": ("http", "http"),
    "add_url_rule": ("http", "flask"),
    "add_api_route": ("http", "fastapi"),
    "add_api_websocket_route": ("websocket", "fastapi"),
    "add_get": ("http", "aiohttp"),
    "add_post": ("http", "aiohttp"),
    "add_put": ("http", "aiohttp"),
    "add_patch": ("http", "aiohttp"),
    "add_delete": ("http", "aiohttp"),
    "add_websocket_route": ("websocket", "starlette"),
    "add_job": ("schedule", "apscheduler"),
    "do": ("schedule", "schedule"),
    "call_later": ("schedule", "asyncio"),
    "call_soon": ("task", "asyncio"),
    "run_repeating": ("schedule", "telegram"),
    "run_daily": ("schedule", "telegram"),
    "run_once": ("schedule", "telegram"),
    "create_task": ("task", "asyncio"),
    "ensure_future": ("task", "asyncio"),
    "start_soon": ("task", "anyio"),
    "add_task": ("task", "background"),
    "start_background_task": ("task", "socketio"),
    "submit": ("task", "executor"),
    "run_in_executor": ("task", "executor"),
    "subscribe": ("message", "subscribe"),
    "message_callback_add": ("message", "mqtt"),
    "basic_consume": ("message", "amqp"),
    "consume": ("message", "amqp"),
    "add_event_handler": ("bot", "event"),
    "add_listener": ("bot", "event"),
    "on": ("message", "event"),
    "start_server": ("message", "asyncio"),
    "start_unix_server": ("message", "asyncio"),
    "serve": ("websocket", "websockets"),
    "create_server": ("message", "asyncio"),
    "register_function": ("message", "xmlrpc"),
    "register_instance": ("message", "xmlrpc"),
    "start_new_thread": ("thread", "thread"),
    "map": ("", ""),
    "bind": ("message", "event"),
    "observe": ("message", "event"),
    "connect": ("message", "signal"),
    "register_message_handler": ("bot", "aiogram"),
    "register_callback_query_handler": ("bot", "aiogram"),
    "register_next_step_handler": ("bot", "telebot"),
    "set_callback": ("message", "callback"),
    "listen": ("message", "event"),
    "add_callback": ("message", "callback"),
    "add_done_callback": ("task", "asyncio"),
    "after": ("schedule", "tk"),
    "start_polling": ("bot", "bot"),
    "register": ("", ""),
    "add_signal_handler": ("startup", "signal"),
    "handle": ("message", "event"),
    "register_listener": ("message", "event"),
    "async_register": ("message", "homeassistant"),
    "track_time_interval": ("schedule", "homeassistant"),
    "async_track_time_interval": ("schedule", "homeassistant"),
    "spawn": ("thread", "gevent"),
    "start_soon_threadsafe": ("task", "asyncio"),
    "run_until_complete": ("cli", "asyncio"),
    "asyncio.run": ("cli", "asyncio"),
    "register_blueprint": ("", ""),
    "add_url": ("http", "http"),
    "add_middleware": ("http", "middleware"),
    "add_subscriber": ("message", "event"),
    "register_handler": ("message", "event"),
    "add_view": ("http", "http"),
    "on_message": ("message", "event"),
    "run_forever": ("", ""),
    "create_periodic_task": ("schedule", "schedule"),
    "every": ("schedule", "schedule"),
}
CONSTRUCTORS: dict[str, tuple[str, str]] = {
    "Thread": ("thread", "threading"),
    "Timer": ("schedule", "threading"),
    "Process": ("thread", "multiprocessing"),
    "Route": ("http", "starlette"),
    "WebSocketRoute": ("websocket", "starlette"),
    "path": ("http", "django"),
    "re_path": ("http", "django"),
    "url": ("http", "django"),
    "CommandHandler": ("bot", "telegram"),
    "MessageHandler": ("bot", "telegram"),
    "CallbackQueryHandler": ("bot", "telegram"),
    "InlineQueryHandler": ("bot", "telegram"),
    "PrefixHandler": ("bot", "telegram"),
    "TypeHandler": ("bot", "telegram"),
    "RegexHandler": ("bot", "telegram"),
    "ChatMemberHandler": ("bot", "telegram"),
    "PollAnswerHandler": ("bot", "telegram"),
    "StringCommandHandler": ("bot", "telegram"),
    "PeriodicCallback": ("schedule", "tornado"),
    "WebSocketApp": ("websocket", "websocket"),
    "DispatcherHandler": ("bot", "pyrogram"),
    "RepeatedTimer": ("schedule", "threading"),
    "LoopingCall": ("schedule", "twisted"),
    "ConversationHandler": ("bot", "telegram"),
    "FilteredHandler": ("bot", "bot"),
    "HTTPServer": ("http", "http.server"),
    "ThreadingHTTPServer": ("http", "http.server"),
    "BackgroundTask": ("task", "starlette"),
    "FunctionTool": ("message", "tool"),
    "HTTPRouteHandler": ("http", "litestar"),
    "ThreadPoolExecutor": ("", ""),
    "Greenlet": ("thread", "gevent"),
    "Rule": ("http", "werkzeug"),
}
CONVENTION = ("handle_message", "on_message", "process_message", "handle_command", "process_update")
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
VERBS = frozenset({"add_get", "add_post", "add_put", "add_patch", "add_delete"})
