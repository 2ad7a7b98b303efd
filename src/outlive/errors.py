"""Every error that outlive raises.

    OutliveError                      exit 1
    ├── Unholdable                    PostgreSQL cannot hold a value (HTTP 422)
    ├── Refused                       a write was not acknowledged, nothing of it remains
    │   ├── Unavailable               PostgreSQL or the journal is away (HTTP 503, retry_after_s)
    │   ├── Conflict                  another writer changed the same fields (HTTP 409)
    │   ├── KeyTaken                  insert of a key that exists (HTTP 409)
    │   └── ForeignTenant             a write touches another tenant's record (HTTP 403)
    ├── Unscoped                      a repository of several tenants was asked without saying which
    ├── MappingRetired                a mapping was used in phase `database`
    ├── NotOpen                       a store was used before it could be opened
    ├── JournalFull                   the journal's disk or limit is exhausted
    ├── JournalCorrupt                a journal segment is damaged; it was kept aside
    ├── ImageTooLarge                 a store's records need more memory than they may take
    ├── JournalUnusable               a journal's folder cannot be opened, or is another process's
    ├── FailPointHit                  a test's fail point was reached
    ├── FileHeld                      another process holds the JSON file
    ├── FileMalformed                 a JSON file cannot be read as records
    ├── FileStale                     a JSON file is older than the database it would replace
    ├── BadQuery                      a filter, order or total cannot be understood or compared
    ├── BadSetting                    an environment variable or argument has no usable value
    ├── NoSuchPath                    a file or folder to scan does not exist (exit 2)
    ├── BadConfig                     outlive.toml, a baseline or a report cannot be used (exit 2)
    ├── BadRevision                   git cannot say what changed since a revision (exit 2)
    ├── BadAddress                    a database address cannot be understood
    ├── Unreachable                   PostgreSQL does not answer (exit 4)
    ├── SchemaMismatch                a table does not fit its store
    ├── MigrationFailed               a migration was refused or failed; it was rolled back
    ├── NoControl                     the schema `outlive` is not there yet
    ├── UnknownStore                  no store or member of that name or number (exit 2)
    ├── AmbiguousStore                several services have a store of that name (exit 2)
    └── PhaseRefused                  a phase change is not possible now (exit 3)
        ├── IllegalMove               the phases are not neighbours
        ├── GateClosed                a gate does not hold
        ├── PhaseMoved                somebody else changed the phase meanwhile
        ├── NotAcknowledged           the phase changed, a live member has not switched yet
        ├── RequestUnanswered         no running member answered a request in time
        └── NoWayBack                 the way back without PostgreSQL is not open

Fields are public and keyword-only; `str(error)` is the sentence, `error.hint` the next command, `error.exit_code`
what the command line returns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(eq=False, kw_only=True)
class OutliveError(Exception):
    """Base of all errors; subclasses give `message`, a format string over their fields."""

    message: ClassVar[str] = "outlive failed"
    hint: ClassVar[str] = "outlive doctor"
    exit_code: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__init__(str(self))

    def facts(self) -> dict[str, Any]:
        """The error's fields by name, as `--json` prints them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        return self.message.format(**self.facts())

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.facts()))


def _rebuild(kind: type[OutliveError], facts: dict[str, Any]) -> OutliveError:
    return kind(**facts)


@dataclass(eq=False, kw_only=True)
class Unholdable(OutliveError):
    """A value that PostgreSQL cannot hold; `field` is the path inside the record."""

    message = "{store}[{key}].{field}: {reason}"
    hint = "outlive unlanded {store}"
    store: str = "?"
    key: str = "?"
    field: str = ""
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class Refused(OutliveError):
    """A write that was not acknowledged: nothing of it is stored, memory was set back."""

    message = "{store}: the write was refused: {reason}"
    hint = "outlive status"
    store: str = "?"
    key: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class Unavailable(Refused):
    """PostgreSQL (or the journal's disk) is away and the store does not accept that; try again later."""

    message = "{store}: storage is unavailable: {reason}"
    retry_after_s: int = 2


@dataclass(eq=False, kw_only=True)
class Conflict(Refused):
    """Another writer changed the same fields since this unit read them."""

    message = "{store}[{key}]: changed by another writer: {reason}"


@dataclass(eq=False, kw_only=True)
class KeyTaken(Refused):
    """An insert met a record with the same key."""

    message = "{store}[{key}]: the key exists already"


@dataclass(eq=False, kw_only=True)
class ForeignTenant(Refused):
    """A write in one tenant's scope met, or would make, a record of another."""

    message = "{store}[{key}]: {reason}"
    hint = "use the repository's for_tenant(...) of the record's tenant, or across_tenants()"


@dataclass(eq=False, kw_only=True)
class Unscoped(OutliveError):
    """The repository of a store with a tenant was used without a scope."""

    message = "{store} holds records of several tenants: use repository.for_tenant(...) or repository.across_tenants()"
    hint = "use repository.for_tenant(...) or repository.across_tenants(); see docs/how-to/query.md"
    store: str = "?"


@dataclass(eq=False, kw_only=True)
class MappingRetired(OutliveError):
    """The mapping of a store in phase `database` was used; the repository answers instead."""

    message = "{store}: the mapping is retired in phase database; use {instead}"
    hint = "outlive rollback {store}"
    store: str = "?"
    instead: str = "store.repository"


@dataclass(eq=False, kw_only=True)
class NotOpen(OutliveError):
    """A store needs its database and was not opened."""

    message = "{store}: not open: {reason}"
    hint = "use outlive.install(app) or `with outlive.open():`"
    store: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class JournalFull(OutliveError):
    """The journal cannot take more; the write was refused and nothing of it was kept."""

    message = "journal {path}: {reason}"
    hint = "free disk space or restore PostgreSQL, then: outlive status"
    path: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class JournalCorrupt(OutliveError):
    """A journal segment is damaged in its middle; a copy is kept."""

    message = "journal {path}: damaged at byte {offset}: {reason}; kept aside as {kept_as}"
    path: str = "?"
    offset: int = 0
    reason: str = ""
    kept_as: str = ""


@dataclass(eq=False, kw_only=True)
class ImageTooLarge(OutliveError):
    """A store's records need more memory than OUTLIVE_MAX_IMAGE_BYTES allows; nothing was dropped, nothing changed."""

    message = "{store}: {records} records of about {record_bytes} bytes need {needed_bytes}; {limit_bytes} are allowed"
    hint = "raise OUTLIVE_MAX_IMAGE_BYTES, or let PostgreSQL answer: outlive advance {store}"
    store: str = "?"
    records: int = 0
    record_bytes: int = 0
    needed_bytes: int = 0
    limit_bytes: int = 0


@dataclass(eq=False, kw_only=True)
class JournalUnusable(OutliveError):
    """A journal's folder cannot be opened, or belongs to another process; nothing was changed in it."""

    message = "journal {path}: {reason}"
    hint = "set OUTLIVE_HOME to a folder that this process may write, then: outlive doctor"
    path: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class FailPointHit(OutliveError):
    """A fail point that a test armed with `raise` was reached."""

    message = "fail point {name} was reached"
    hint = "unset OUTLIVE_FAILPOINT"
    name: str = "?"


@dataclass(eq=False, kw_only=True)
class FileHeld(OutliveError):
    """Another process writes the same JSON file."""

    message = "{path}: held by process {pid}; one writer a file until phase dual_read"
    hint = "stop the other process, or advance the store to dual_read"
    path: str = "?"
    pid: int = 0


@dataclass(eq=False, kw_only=True)
class FileMalformed(OutliveError):
    """A JSON file does not hold records; it was left as it is."""

    message = "{path}: {reason}"
    hint = "repair the file; outlive has not changed it"
    path: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class FileStale(OutliveError):
    """The JSON file is older than the database that was in charge last."""

    message = "{path}: written {age} ago, and phase {phase} was in charge since"
    hint = "bring PostgreSQL back, or start with --accept-stale"
    path: str = "?"
    age: str = "?"
    phase: str = "database"


@dataclass(eq=False, kw_only=True)
class BadQuery(OutliveError):
    """A filter, order or total that cannot be understood, or values that Python cannot compare."""

    message = "query on {field}: {reason}"
    hint = "filters are field=value or field__op=value; docs/reference/query.md lists the operators"
    field: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class BadSetting(OutliveError):
    """A setting has no usable value."""

    message = "{name}={value!r}: {reason}"
    name: str = "?"
    value: str = ""
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class NoSuchPath(OutliveError):
    """A file or folder that was to be scanned does not exist; nothing was read."""

    message = "{path} does not exist"
    hint = "outlive scan --help"
    exit_code = 2
    path: str = "?"


@dataclass(eq=False, kw_only=True)
class BadConfig(OutliveError):
    """outlive.toml, a baseline or a report's file cannot be read, understood or written."""

    message = "{path}: {reason}"
    hint = "docs/how-to/scan.md and docs/how-to/guard-ci.md show the formats"
    exit_code = 2
    path: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class BadRevision(OutliveError):
    """git cannot say what changed since a revision."""

    message = "changes since {revision}: {reason}"
    hint = "git log --oneline"
    exit_code = 2
    revision: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class BadAddress(OutliveError):
    """A database address cannot be understood; secrets are masked."""

    message = "database address {address}: {reason}"
    hint = "set DATABASE_URL=postgresql://user:password@host:5432/name"
    address: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class Unreachable(OutliveError):
    """PostgreSQL does not answer."""

    message = "PostgreSQL at {address} does not answer: {reason}"
    exit_code = 4
    address: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class SchemaMismatch(OutliveError):
    """A table exists and does not fit its store; nothing was changed."""

    message = "{table}.{column}: {reason}"
    hint = "outlive migrate"
    table: str = "?"
    column: str = ""
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class MigrationFailed(OutliveError):
    """A migration was refused or failed; the one that failed was rolled back, earlier ones stand."""

    message = "migration of {what}: {reason}"
    hint = "outlive migrate --sql"
    what: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class PhaseRefused(OutliveError):
    """A phase change is not possible now."""

    message = "{store}: {reason}"
    hint = "outlive status"
    exit_code = 3
    store: str = "?"
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class IllegalMove(PhaseRefused):
    """The phases are not neighbours."""

    message = "{store}: {current} -> {wanted} is no single step"
    current: str = "?"
    wanted: str = "?"


@dataclass(eq=False, kw_only=True)
class GateClosed(PhaseRefused):
    """A gate does not hold; `gates` names each closed one with its figure, `closed` holds them as plain values."""

    message = "{store}: refused by {gates}"
    hint = "outlive status {store}"
    gates: str = ""
    closed: tuple[dict[str, Any], ...] = ()


@dataclass(eq=False, kw_only=True)
class PhaseMoved(PhaseRefused):
    """Somebody else changed the store's phase between reading it and changing it; nothing was done."""

    message = "{store}: expected phase {expected} at epoch {epoch}, found {found} at epoch {found_epoch}"
    hint = "outlive status {store}"
    expected: str = "?"
    epoch: int = 0
    found: str = "?"
    found_epoch: int = 0


@dataclass(eq=False, kw_only=True)
class NotAcknowledged(PhaseRefused):
    """Live members have not acknowledged the current epoch; `members` names them."""

    message = "{store}: epoch {epoch} ({phase}) is not acknowledged by {members}"
    hint = "outlive status {store}, or for a member that is gone: outlive write-off MEMBER --reason TEXT"
    phase: str = "?"
    epoch: int = 0
    members: str = ""


@dataclass(eq=False, kw_only=True)
class RequestUnanswered(PhaseRefused):
    """No running member answered a request."""

    message = "{store}: {kind}: {reason}"
    hint = "start the service, then: outlive status {store}"
    kind: str = "?"


@dataclass(eq=False, kw_only=True)
class NoWayBack(PhaseRefused):
    """`rollback --from-image` was refused, by the command or by a running member; nothing was changed."""

    message = "{store}: no way back from the image: {reason}"
    hint = "{next}"
    next: str = "outlive status"


@dataclass(eq=False, kw_only=True)
class NoControl(OutliveError):
    """The schema `outlive` does not exist in this database."""

    message = "the schema outlive does not exist in {address}"
    hint = "outlive migrate"
    address: str = "?"


@dataclass(eq=False, kw_only=True)
class UnknownStore(OutliveError):
    """No such store (or other thing that the operator named); `known` lists what there is."""

    message = "no {what} {name}; known: {known}"
    hint = "outlive status"
    exit_code = 2
    what: str = "store"
    name: str = "?"
    known: str = "none"


@dataclass(eq=False, kw_only=True)
class AmbiguousStore(OutliveError):
    """Several services have a store of this name; `candidates` lists them."""

    message = "store {name} exists in several services: {candidates}"
    hint = "name it as SERVICE/STORE"
    exit_code = 2
    name: str = "?"
    candidates: str = ""
