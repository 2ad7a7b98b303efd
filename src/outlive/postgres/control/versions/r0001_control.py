"""The control schema: services, phases, members and what is kept about them."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = {
    "service": """
        service text PRIMARY KEY,
        epoch bigint NOT NULL DEFAULT 1
    """,
    "phase": """
        service text NOT NULL,
        store text NOT NULL,
        phase text NOT NULL CONSTRAINT phase_is_known
            CHECK (phase IN ('legacy', 'dual_write', 'dual_read', 'database')),
        epoch bigint NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now(),
        changed_by text,
        reason text,
        seeded_at timestamptz,
        pins_overridden boolean NOT NULL DEFAULT false,
        backfill jsonb,
        rehearsal jsonb,
        PRIMARY KEY (service, store)
    """,
    "member": """
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        host text,
        pid integer,
        boot text,
        started_at timestamptz NOT NULL DEFAULT now(),
        seen_at timestamptz NOT NULL DEFAULT now(),
        lease_s real,
        left_at timestamptz,
        epoch bigint NOT NULL,
        applied bigint NOT NULL DEFAULT 0,
        fenced boolean NOT NULL DEFAULT false,
        written_off_at timestamptz,
        report jsonb NOT NULL DEFAULT '{}'
    """,
    "unlanded": """
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        store text NOT NULL,
        key text NOT NULL,
        version bigint,
        op text NOT NULL CONSTRAINT op_is_known CHECK (op IN ('put', 'delete')),
        position numeric,
        document bytea,
        field text,
        reason text,
        sqlstate text,
        member bigint,
        created_at timestamptz NOT NULL DEFAULT now(),
        settled_at timestamptz,
        settled_how text
    """,
    "tombstone": """
        service text NOT NULL,
        store text NOT NULL,
        key text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (service, store, key)
    """,
    "event": """
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        service text,
        store text,
        kind text NOT NULL,
        actor text,
        detail jsonb
    """,
    "verification": """
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        store text NOT NULL,
        mode text,
        requested_at timestamptz NOT NULL DEFAULT now(),
        requested_by text,
        member bigint,
        started_at timestamptz,
        finished_at timestamptz,
        epoch bigint,
        compared bigint,
        different bigint,
        missing bigint,
        extra bigint,
        planted_found boolean,
        result jsonb
    """,
    "request": """
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        store text,
        kind text NOT NULL,
        asked_at timestamptz NOT NULL DEFAULT now(),
        asked_by text,
        args jsonb NOT NULL DEFAULT '{}',
        member bigint,
        taken_at timestamptz,
        done_at timestamptz,
        result jsonb
    """,
    "counter": """
        service text NOT NULL,
        store text NOT NULL,
        value bigint NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (service, store)
    """,
}
INDEXES = (
    "CREATE INDEX member_live ON outlive.member (service) WHERE left_at IS NULL AND written_off_at IS NULL",
    "CREATE INDEX unlanded_open ON outlive.unlanded (service, store, key) WHERE settled_at IS NULL",
    "CREATE INDEX tombstone_age ON outlive.tombstone (service, store, at)",
    "CREATE INDEX event_age ON outlive.event (service, at)",
    "CREATE INDEX verification_latest ON outlive.verification (service, store, id)",
    "CREATE INDEX request_open ON outlive.request (service) WHERE done_at IS NULL",
)


def upgrade() -> None:
    """Makes every control table."""
    for name, columns in TABLES.items():
        op.execute(f"CREATE TABLE outlive.{name} ({columns.rstrip()}\n    )")
    for statement in INDEXES:
        op.execute(statement)


def downgrade() -> None:
    """Drops every control table with what it holds; the stores' own tables are left alone."""
    for name in reversed(TABLES):
        op.execute(f"DROP TABLE outlive.{name}")
