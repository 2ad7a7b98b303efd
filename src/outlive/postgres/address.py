"""Where PostgreSQL is: one address, read from a URL or from the POSTGRES_* variables, shown without its secrets.

Both `postgresql://` URLs (with any SQLAlchemy driver suffix) and libpq's `key=value` form are understood; libpq
itself splits them, so percent-encoding, sockets and several hosts mean what they mean to psql.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from outlive.errors import BadAddress, BadSetting
from outlive.postgres import passwords
from outlive.settings import DIRECT_VARIABLE, Settings, boolean

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SECRETS = ("password", "sslpassword")
LEAST_TLS = "TLSv1.2"
_SCHEME = re.compile(r"(?P<scheme>postgres(?:ql)?(?:\+[a-z0-9_]+)?)://", re.IGNORECASE)
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_LIBPQ = frozenset(
    {
        "async_fallback",
        "connection_limit",
        "pgbouncer",
        "pool_timeout",
        "prepare_threshold",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "schema",
        "statement_cache_size",
    }
)
_MAIN = ("user", "password", "host", "port", "dbname")


@dataclass(frozen=True)
class Address:
    """libpq's keywords with their values; equal addresses reach the same database as the same user.

    `secret` gives the password of each connection, where the options hold none.
    """

    options: Mapping[str, str] = field(repr=False)
    pooler: bool = field(default=False, compare=False)
    secret: Callable[[], str] | None = field(default=None, repr=False, compare=False)

    @property
    def local(self) -> bool:
        """Whether every host is this machine, as far as the address tells: a socket's folder, or the loopback."""
        hosts = [*self.options.get("host", "").split(","), *self.options.get("hostaddr", "").split(",")]
        named = [host for host in hosts if host]
        return all(host.startswith(("/", "@", "127.")) or host in ("localhost", "::1") for host in named)

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that `text` names: a URL or libpq's key=value form.

        Raises BadAddress with a reason that shows nothing of what could be a password.
        """
        stripped = text.strip()
        scheme = _SCHEME.match(stripped)
        if scheme is None and re.match(r"[\w.+-]*://", stripped):
            raise BadAddress(address=_hidden(stripped), reason="the scheme is not postgresql://")
        if scheme is None and not re.match(r"\w+\s*=", stripped):
            raise BadAddress(address="(hidden)", reason="it is neither a postgresql:// URL nor key=value words")
        pooler = False
        if scheme is not None:
            stripped, pooler = _plain_url(stripped, scheme)
        return cls._checked(_libpq(stripped), pooler)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Address | None:
        """The address of DATABASE_URL, else of the POSTGRES_* variables, else None (the embedded server is meant).

        Raises BadAddress or BadSetting.
        """
        if env.get("DATABASE_URL", "").strip():
            return cls.parse(env["DATABASE_URL"])._asking(env)
        given = {name: env[f"POSTGRES_{name}"] for name in _VARIABLES if env.get(f"POSTGRES_{name}", "").strip()}
        if not given and passwords.VARIABLE not in env:
            return None
        user = given.get("USER", "postgres")
        options = {"host": "localhost", "port": "5432", "user": user, "dbname": user}
        options |= {_VARIABLES[name]: value for name, value in given.items()}
        _check_variables(options)
        return cls._checked(options, False)._asking(env)

    @classmethod
    def from_settings(cls, settings: Settings) -> Address | None:
        """The address in `settings`, or None when the embedded server is meant. Raises BadAddress or BadSetting."""
        address = cls.from_env(settings.database)
        return None if address is None else address._asking(settings.database, settings.password)

    @classmethod
    def direct(cls, settings: Settings) -> Address | None:
        """The address of DATABASE_DIRECT_URL, which leads past a pooler, or None. Raises BadAddress."""
        text = settings.database.get(DIRECT_VARIABLE)
        return cls.parse(text)._asking(settings.database, settings.password) if text else None

    def _asking(self, env: Mapping[str, str], secret: Callable[[], str] | None = None) -> Address:
        """This address, with `secret` or POSTGRES_PASSWORD_COMMAND in place of a password that it lacks.

        Raises BadSetting for a command that cannot be read, or beside POSTGRES_PASSWORD.
        """
        command = env.get(passwords.VARIABLE, "").strip()
        if command and env.get("POSTGRES_PASSWORD", "").strip():
            raise BadSetting(
                name=passwords.VARIABLE, value="…", reason="stands beside POSTGRES_PASSWORD; set one of them"
            )
        if "password" in self.options or not (secret or command):
            return self
        return replace(self, secret=secret or passwords.from_command(command))

    @classmethod
    def _checked(cls, options: Mapping[str, str], pooler: bool) -> Address:
        address = cls(dict(options), pooler)
        for port in options.get("port", "").split(","):
            if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
                raise BadAddress(address=_hidden("postgresql://"), reason="the port is no number from 1 to 65535")
        if options.get("sslmode", "prefer") not in SSL_MODES:
            raise BadAddress(address=address.masked(), reason=f"sslmode is none of {', '.join(SSL_MODES)}")
        for name in ("ssl_min_protocol_version", "ssl_max_protocol_version"):
            if options.get(name, LEAST_TLS).lower() not in ("tlsv1.2", "tlsv1.3"):
                raise BadAddress(address=address.masked(), reason=f"{name} is below {LEAST_TLS}")
        return address

    @property
    def host(self) -> str:
        """Host name, address or socket directory; several are separated by commas."""
        return self.options.get("host") or self.options.get("hostaddr") or "localhost"

    @property
    def port(self) -> int:
        """The first port."""
        return int(self.options.get("port", "5432").split(",")[0] or 5432)

    @property
    def database(self) -> str:
        """The database's name; PostgreSQL's rule: the user's name where none is given."""
        return self.options.get("dbname") or self.user

    @property
    def user(self) -> str:
        """The role's name, empty where the operating system's user is meant."""
        return self.options.get("user", "")

    @property
    def sslmode(self) -> str:
        """One of SSL_MODES."""
        return self.options.get("sslmode", "prefer")

    def with_database(self, name: str) -> Address:
        """The same server and user with another database."""
        return replace(self, options={**self.options, "dbname": name})

    def asked(self) -> dict[str, str]:
        """The options of one connection: no TLS below 1.2, and a password asked for now where there is none.

        That may take a while. Raises OSError where the password cannot be had.
        """
        options = {"ssl_min_protocol_version": LEAST_TLS, **self.options}
        if self.secret is None:
            return options
        try:
            return {**options, "password": self.secret()}
        except OSError:
            raise
        except Exception as failure:
            raise OSError(f"the password cannot be had ({type(failure).__name__})") from failure

    def conninfo(self) -> str:
        """libpq's form, with the secrets: for psycopg only, never for a message."""
        return make_conninfo("", **self.options)

    def url(self, driver: str = "psycopg") -> sqlalchemy.URL:
        """SQLAlchemy's form; its str() hides the password, and a client key's `sslpassword` is left out."""
        query = {name: value for name, value in self.options.items() if name not in (*_MAIN, *SECRETS)}
        host = self.options.get("host")
        simple = host is None or not (host.startswith(("/", "@")) or "," in host)
        if not simple:
            query |= {name: self.options[name] for name in ("host", "port") if name in self.options}
        return sqlalchemy.URL.create(
            f"postgresql+{driver}",
            username=self.options.get("user"),
            password=self.options.get("password"),
            host=host if simple else None,
            port=self.port if simple and "port" in self.options else None,
            database=self.options.get("dbname"),
            query=query,
        )

    def libpq_url(self) -> str:
        """A postgresql:// URL with the password, as DATABASE_URL takes it."""
        return self._render(self.options)

    def masked(self) -> str:
        """A postgresql:// URL in which every secret reads ***."""
        return self._render({name: "***" if name in SECRETS else value for name, value in self.options.items()})

    def scrub(self, text: str) -> str:
        """`text` with every secret of this address replaced, for messages that others wrote."""
        for name in SECRETS:
            secret = self.options.get(name)
            if secret:
                text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return text

    def _render(self, options: Mapping[str, str]) -> str:
        query = {name: value for name, value in options.items() if name not in _MAIN}
        host, port, where = options.get("host", ""), options.get("port", ""), ""
        if host.startswith(("/", "@")) or "," in host:
            query |= {"host": host} | ({"port": port} if port else {})
        else:
            where = (f"[{host}]" if ":" in host else quote(host, safe="")) + (f":{port}" if port else "")
        login = quote(options.get("user", ""), safe="")
        if options.get("password"):
            login += ":" + quote(options["password"], safe="*")
        path = quote(options.get("dbname", ""), safe="")
        tail = "?" + urlencode(query, quote_via=quote, safe="*/") if query else ""
        return f"postgresql://{login}{'@' if login else ''}{where}/{path}{tail}"

    def __repr__(self) -> str:
        return f"Address({self.masked()!r})"

    __str__ = masked

    def __hash__(self) -> int:
        return hash(frozenset(self.options.items()))


_VARIABLES = {
    "HOST": "host",
    "PORT": "port",
    "DB": "dbname",
    "USER": "user",
    "PASSWORD": "password",
    "SSL_MODE": "sslmode",
    "SSL_ROOT_CERT": "sslrootcert",
}


def _hidden(text: str) -> str:
    """Only the scheme: nothing after it is known to be no password."""
    return "postgresql://…" if _SCHEME.match(text) else "(hidden)"


def _check_variables(options: dict[str, str]) -> None:
    options["sslmode"] = options.get("sslmode", "prefer").strip().lower()
    if options["sslmode"] not in SSL_MODES:
        raise BadSetting(
            name="POSTGRES_SSL_MODE", value=options["sslmode"], reason=f"is none of {', '.join(SSL_MODES)}"
        )
    port = options["port"] = options["port"].strip()
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise BadSetting(name="POSTGRES_PORT", value=port, reason="is no number from 1 to 65535")


def _plain_url(text: str, scheme: re.Match[str]) -> tuple[str, bool]:
    """The URL as libpq takes it, and whether it says that a pooler stands in between."""
    shown = _hidden(text)
    rest = text[scheme.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in authority and "@" in rest.split("?", 1)[0]:
        raise BadAddress(address=shown, reason="/ ? and # in a user or password are written %2F %3F %23")
    if authority.rpartition("@")[0].count("@"):
        raise BadAddress(address=shown, reason="@ in a user or password is written %40")
    if _BROKEN_PERCENT.search(rest):
        raise BadAddress(address=shown, reason="a % that is no percent-encoding is written %25")
    if "#" in rest:
        raise BadAddress(address=shown, reason="# is written %23")
    place, _, words = rest.partition("?")
    pairs = parse_qsl(words, keep_blank_values=True)
    kept = [_as_libpq(name, value) for name, value in pairs if name not in _NOT_LIBPQ]
    pooler = any(name == "pgbouncer" and boolean(value) for name, value in pairs)
    query = urlencode(kept, quote_via=quote)
    return f"postgresql://{place}{'?' + query if query else ''}", pooler


def _as_libpq(name: str, value: str) -> tuple[str, str]:
    if name == "ssl":
        known = boolean(value)
        return "sslmode", value if known is None else ("require" if known else "disable")
    return name, value


def _libpq(text: str) -> dict[str, str]:
    try:
        return {name: str(value) for name, value in conninfo_to_dict(text).items() if value is not None}
    except psycopg.Error as wrong:
        unknown = re.search(r"invalid (?:URI query parameter|connection option)[: ]+\"(\w{1,40})\"", str(wrong))
        reason = f"{unknown[1]} is no connection parameter" if unknown and "=" in text else "it cannot be parsed"
    raise BadAddress(address=_hidden(text), reason=reason)
