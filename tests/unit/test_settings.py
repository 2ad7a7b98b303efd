"""Settings, `.env` files and addresses: what is read, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from outlive.errors import BadAddress, BadSetting
from outlive.postgres.address import SSL_MODES, Address
from outlive.settings import Settings, load_dotenv

SECRET = "s3cr3t-w0rd"


def test_defaults_are_those_of_the_requirements() -> None:
    """With nothing set: pool 5 + 10, time-out 30 s, recycle 1 h, check before use, embedded server in .outlive."""
    settings = Settings.from_env({})
    assert (settings.pool_size, settings.max_overflow, settings.connections) == (5, 10, 15)
    assert (settings.pool_timeout_s, settings.pool_recycle_s, settings.pre_ping) == (30.0, 3600, True)
    assert (settings.home, settings.log_level, settings.echo, settings.embedded) == (
        Path(".outlive"), "INFO", False, True,
    )  # fmt: skip
    assert settings == Settings()


def test_every_variable_is_read() -> None:
    """Each documented variable reaches its setting."""
    settings = Settings.from_env(
        {
            "DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0", "DATABASE_POOL_TIMEOUT": "1.5",
            "DATABASE_POOL_RECYCLE": "60", "DATABASE_POOL_PRE_PING": "off", "LOG_LEVEL": "debug",
            "OUTLIVE_HOME": "/x/y", "OUTLIVE_SERVICE": "tasks", "OUTLIVE_SCRUB_S": "5", "OUTLIVE_POLL_S": "0.05",
            "OUTLIVE_MIGRATION_WAIT_S": "3", "OUTLIVE_MIGRATION_TIMEOUT_S": "4", "DATABASE_CONNECT_TIMEOUT": "2",
            "DATABASE_STATEMENT_TIMEOUT": "7", "DATABASE_LOCK_TIMEOUT": "8", "DATABASE_POOLER": "yes",
        }
    )  # fmt: skip
    assert settings == Settings(
        pool_size=2, max_overflow=0, pool_timeout_s=1.5, pool_recycle_s=60, pre_ping=False, log_level="DEBUG",
        home=Path("/x/y"), service="tasks", scrub_s=5.0, poll_s=0.05, migration_wait_s=3.0, migration_timeout_s=4.0,
        connect_timeout_s=2, statement_timeout_s=7.0, lock_timeout_s=8.0, pooler=True,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["DATABASE_ECHO", "SQL_ECHO"])
@pytest.mark.parametrize(("word", "value"), [("TRUE", True), ("1", True), ("Yes", True), ("on", True), ("no", False)])
def test_echo_has_two_names(name: str, word: str, value: bool) -> None:
    """DATABASE_ECHO and SQL_ECHO mean the same, in any spelling of a truth value."""
    assert Settings.from_env({name: word}).echo is value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_POOL_SIZE", "five"), ("DATABASE_POOL_SIZE", "0"), ("DATABASE_POOL_SIZE", "²"),
        ("DATABASE_MAX_OVERFLOW", "-1"), ("DATABASE_ECHO", "maybe"), ("OUTLIVE_POLL_S", "nan"),
        ("OUTLIVE_SCRUB_S", "0"), ("OUTLIVE_SCRUB_S", "x"), ("LOG_LEVEL", "LOUD"), ("DATABASE_POOL_SIZE", "9" * 5000),
    ],
)  # fmt: skip
def test_a_useless_value_is_refused_by_name(name: str, value: str) -> None:
    """A value that cannot be used raises BadSetting with the variable's name."""
    with pytest.raises(BadSetting) as caught:
        Settings.from_env({name: value})
    assert caught.value.name == name


def test_an_empty_variable_counts_as_unset() -> None:
    """`DATABASE_POOL_SIZE=` in a compose file is no value, and neither is an empty DATABASE_URL."""
    settings = Settings.from_env({"DATABASE_POOL_SIZE": "", "DATABASE_URL": " ", "POSTGRES_HOST": ""})
    assert settings == Settings()
    assert settings.embedded


def test_settings_never_show_the_password() -> None:
    """repr and str of settings leave the address variables out, and settings can be sent to another process."""
    settings = Settings.from_env({"DATABASE_URL": f"postgresql://u:{SECRET}@h/d", "POSTGRES_PASSWORD": SECRET})
    assert SECRET not in repr(settings) + str(settings)
    assert not settings.embedded
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301


def test_dotenv_never_overrides(tmp_path: Path) -> None:
    """A name that the environment has keeps its value; the others are added."""
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    env = {"A": "real"}
    assert load_dotenv(tmp_path / ".env", env) == ["B"]
    assert env == {"A": "real", "B": "file"}


def test_dotenv_understands_quotes_comments_and_export(tmp_path: Path) -> None:
    """Quotes, escapes, comments, blanks, `export`, a byte-order mark and non-Latin text are read as a shell would."""
    (tmp_path / ".env").write_text(
        '\ufeff# head\n\nexport A = one two  # tail\nB=\'it # is $X \\n\'\nC="l1\\nl2 \\"q\\"" # tail\n'
        "D=a#b\nE=\nF=ש₪ع\nG=# only a comment\nH='x'\r\nD=last\n",
        encoding="utf-8",
    )
    env: dict[str, str] = {}
    load_dotenv(tmp_path / ".env", env)
    assert env == {
        "A": "one two", "B": "it # is $X \\n", "C": 'l1\nl2 "q"', "D": "last", "E": "", "F": "ש₪ع", "G": "", "H": "x",
    }  # fmt: skip


@pytest.mark.parametrize("line", [f"PASSWORD {SECRET}", f'P="{SECRET}', f"P='{SECRET}' {SECRET}", f"1P={SECRET}"])
def test_a_broken_dotenv_line_is_named_by_number_only(tmp_path: Path, line: str) -> None:
    """The error says which line, and never shows what stands there."""
    (tmp_path / ".env").write_text(f"A=1\n{line}\n")
    env: dict[str, str] = {}
    with pytest.raises(BadSetting) as caught:
        load_dotenv(tmp_path / ".env", env)
    assert ":2" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert env == {}


def test_a_missing_dotenv_is_no_error(tmp_path: Path) -> None:
    """Nothing is added where there is no file; one that is no text is refused."""
    assert load_dotenv(tmp_path / ".env", {}) == []
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(BadSetting):
        load_dotenv(tmp_path / ".env", {})


def test_the_example_file_is_readable_and_harmless() -> None:
    """.env.example parses, sets nothing but defaults, and names every variable that settings read."""
    path = Path(__file__).resolve().parents[2] / ".env.example"
    env: dict[str, str] = {}
    load_dotenv(path, env)
    assert Settings.from_env(env) == Settings()
    assert all(name in path.read_text() for name in ("DATABASE_URL", "POSTGRES_SSL_MODE", "SQL_ECHO", "OUTLIVE_HOME"))


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg", "postgresql+psycopg2", "POSTGRES"]
)
def test_every_usual_scheme_is_taken(scheme: str) -> None:
    """The driver suffix of a URL does not matter."""
    address = Address.parse(f"{scheme}://u:p%40%2F%25w@h.example:6543/d%20b?sslmode=require")
    assert conninfo_to_dict(address.conninfo()) == {
        "user": "u", "password": "p@/%w", "host": "h.example", "port": "6543", "dbname": "d b", "sslmode": "require",
    }  # fmt: skip
    assert (address.user, address.host, address.port, address.database) == ("u", "h.example", 6543, "d b")


@pytest.mark.parametrize(
    "text",
    [
        f"mysql://u:{SECRET}@h/d", f"postgresql://u:{SECRET}@x@h/d", f"postgresql://u:x/{SECRET}@h/d",
        f"postgresql://u:{SECRET}#x@h/d", f"postgresql://u:{SECRET}?x@h/d", f"postgresql://u:{SECRET}%zz@h/d",
        f"postgresql://u:{SECRET}@h:port/d", f"postgresql://u:{SECRET}@h:99999/d", f"postgresql://u@h:{SECRET}/d",
        f"postgresql://u:{SECRET}@h/d?sslmode=sometimes", f"postgresql://u:{SECRET}@h/d?nosuch=1", SECRET, "",
        f"host=h password={SECRET} nosuch=1", f"host=h password='{SECRET}", f"postgresql://u:{SECRET}@[::1/d",
        f"postgresql://{SECRET}:5432:1/d", f"host=h password={SECRET} port=x", f"u:{SECRET}@h/d", f"{SECRET}://h/d",
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_without_its_password(text: str) -> None:
    """BadAddress gives a reason and shows no part that could be a password, nor do its causes."""
    with pytest.raises(BadAddress) as caught:
        Address.parse(text)
    assert caught.value.reason
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error) + repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{SECRET}@h/d?sslmode=verify-full&sslpassword={SECRET}", f"postgresql://u:{SECRET}@[::1]:5/d",
        f"postgresql:///d?host=/run/pg&user=u&password={SECRET}", f"postgresql://u:{SECRET}@a:1,b:2/d",
        f"host=h user='a b' password='{SECRET} x' dbname=d", f"postgresql://u:{SECRET}@h/d?options=-c%20a%3Db",
    ],
)  # fmt: skip
def test_an_address_is_shown_without_secrets_and_survives_its_own_url(text: str) -> None:
    """repr, str and masked() hide every secret; libpq_url() gives the same address back; pickling keeps it."""
    address = Address.parse(text)
    shown = repr(address) + str(address) + address.masked() + f"{address}"
    assert SECRET not in shown
    assert "***" in shown
    assert Address.parse(address.libpq_url()) == address == pickle.loads(pickle.dumps(address))  # noqa: S301
    assert SECRET not in address.scrub(f"FATAL: {address.options['password']}")
    assert SECRET not in str(address.url())


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(user=TEXT, password=TEXT, name=TEXT)
def test_any_user_password_and_name_survive_the_url(user: str, password: str, name: str) -> None:
    """What an address holds comes back from its own URL and from libpq's form, whatever the characters."""
    address = Address({"user": user, "password": password, "host": "h", "dbname": name})
    assert Address.parse(address.libpq_url()) == address
    assert Address.parse(address.conninfo()) == address


@pytest.mark.parametrize("mode", SSL_MODES)
def test_tls_modes_are_passed_through(mode: str) -> None:
    """Each sslmode reaches libpq and SQLAlchemy, from the URL and from POSTGRES_SSL_MODE."""
    for address in (
        Address.parse(f"postgresql://h/d?sslmode={mode}&sslrootcert=/ca.pem"),
        Address.from_env({"POSTGRES_HOST": "h", "POSTGRES_SSL_MODE": mode.upper()}),
    ):
        assert address is not None
        assert address.sslmode == mode
        assert conninfo_to_dict(address.conninfo())["sslmode"] == mode
        assert address.url().query["sslmode"] == mode


@pytest.mark.parametrize(("given", "mode"), [("require", "require"), ("true", "require"), ("false", "disable")])
def test_asyncpg_style_ssl_is_translated(given: str, mode: str) -> None:
    """`ssl=` of asyncpg URLs means sslmode, and parameters of other drivers are left out."""
    address = Address.parse(f"postgresql+asyncpg://h/d?ssl={given}&prepared_statement_cache_size=0")
    assert address.sslmode == mode
    assert set(address.options) == {"host", "dbname", "sslmode"}


def test_a_url_can_say_that_a_pooler_stands_between() -> None:
    """`pgbouncer=true` is understood, not passed on."""
    assert Address.parse("postgresql://h/d?pgbouncer=true").pooler
    assert not Address.parse("postgresql://h/d").pooler


def test_postgres_variables_make_an_address() -> None:
    """The POSTGRES_* variables are used when DATABASE_URL is unset, with PostgreSQL's usual defaults."""
    env = {"POSTGRES_HOST": "db", "POSTGRES_USER": "app", "POSTGRES_PASSWORD": SECRET, "POSTGRES_DB": "budget"}
    address = Address.from_env(env)
    assert address == Address.parse(f"postgresql://app:{SECRET}@db:5432/budget?sslmode=prefer")
    assert Address.from_env({**env, "DATABASE_URL": "postgresql://other/x"}) == Address.parse("postgresql://other/x")
    assert Address.from_env({}) is None
    assert Address.from_settings(Settings.from_env(env)) == address


@pytest.mark.parametrize(("name", "value"), [("POSTGRES_SSL_MODE", "maybe"), ("POSTGRES_PORT", "x")])
def test_a_wrong_postgres_variable_is_named(name: str, value: str) -> None:
    """A POSTGRES_* value that cannot be used raises BadSetting with its name."""
    with pytest.raises(BadSetting) as caught:
        Address.from_env({"POSTGRES_HOST": "h", name: value})
    assert caught.value.name == name


def test_another_database_on_the_same_server() -> None:
    """with_database changes the name only, and the direct address is read from its own variable."""
    address = Address.parse("postgresql://u:p@h:1/a?sslmode=require")
    assert address.with_database("b") == Address.parse("postgresql://u:p@h:1/b?sslmode=require")
    settings = Settings.from_env({"DATABASE_DIRECT_URL": "postgresql://direct/a"})
    assert settings.embedded
    assert Address.direct(settings) == Address.parse("postgresql://direct/a")
    assert Address.direct(Settings()) is None
    assert hash(address) != hash(address.with_database("b"))
