"""Rows of the farm services' tables, made by PostgreSQL itself.

A column is an SQL expression over `n` (1 to the number of rows), `tenant` (one of the tenants, by turns) and `m` (which
of its tenant's rows it is). Columns that must have a value and are not named get a plain one of their type.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import sql

from outlive.postgres.address import Address

PLAIN: dict[str, LiteralString] = {
    "text": "'text'", "boolean": "false", "timestamp with time zone": "now()", "jsonb": "'{}'", "json": "'{}'",
    "ARRAY": "'{}'", "bigint": "1", "numeric": "n", "double precision": "1.5", "date": "current_date",
    "uuid": "md5(n::text)::uuid",
}  # fmt: skip
FIELD: LiteralString = "tenant || '_field' || m % 20"
FARMER: LiteralString = "'farmer' || n % 1000"
EQUIPMENT: LiteralString = "'eq_' || lpad(to_hex(n), 8, '0')"
PRIORITIES: LiteralString = "(ARRAY['low', 'medium', 'high', 'critical'])[1 + m % 4]"
MACHINES: LiteralString = "(ARRAY['tractor', 'pump', 'drone', 'harvester', 'sensor'])[1 + m % 5]"
OPERATIONS: LiteralString = "(ARRAY['operational', 'maintenance', 'inactive', 'repair'])[1 + m / 5 % 4]"
Columns = dict[str, LiteralString]
MANY = 200_000  # rows from which on it is quicker to make the indexes afterwards

# Table by table, parents first: the share of the rows that it gets, and its columns.
SERVICES: dict[str, dict[str, tuple[float, Columns]]] = {
    "tasks": {
        "tasks": (1, {
            "task_id": "'task_' || lpad(to_hex(n), 12, '0')", "tenant_id": "tenant", "title": "'Irrigate ' || n",
            "title_ar": "'ري الحقل ' || n", "description": "'Open the valve, wait, close it again: ' || n",
            "task_type": "(ARRAY['irrigation', 'spraying', 'scouting', 'harvest'])[1 + m % 4]",
            "priority": "(ARRAY['low', 'medium', 'high', 'urgent'])[1 + m / 4 % 4]",
            "status": "(ARRAY['pending', 'in_progress', 'completed', 'cancelled'])[1 + m / 16 % 4]",
            "field_id": FIELD, "assigned_to": "'user' || m % 12 || tenant", "created_by": "'user_system'",
            "due_date": "date_trunc('hour', now()) + (m % 1440 - 720) * interval '1 hour'",
            "due_date_given": "to_char(date_trunc('hour', now() AT TIME ZONE 'UTC') + (m % 1440 - 720)"
                              " * interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
            "estimated_duration_minutes": "m % 240", "created_at": "now() - m * interval '1 minute'",
            "completed_at": "CASE WHEN m / 16 % 4 = 2 THEN now() - m % 100 * interval '1 day' END", "evidence": "'[]'",
            "actual_duration_minutes": "CASE WHEN m / 16 % 4 = 2 THEN m % 300 END",
            "task_metadata": "jsonb_build_object('source', 'plan', 'row', n)",
        }),
        "task_history": (0.5, {
            "task_id": "'task_' || lpad(to_hex(n), 12, '0')", "tenant_id": "tenant", "action": "'created'",
            "new_status": "'pending'", "performed_by": "'user_system'",
        }),
        "task_templates": (0.2, {"template_id": "'template' || n", "tenant_id": "tenant", "name": "'Name ' || m"}),
    },
    "alerts": {
        "alerts": (1, {
            "id": "md5(n::text)::uuid::text", "tenant_id": "tenant", "field_id": FIELD,
            "fields": f"ARRAY[{FIELD}]", "title": "'إنذار ' || n", "message": "'Pest seen in field ' || n",
            "type": "(ARRAY['weather', 'pest', 'disease', 'irrigation'])[1 + m % 4]",
            "severity": "(ARRAY['critical', 'high', 'medium', 'low', 'info'])[1 + m / 4 % 5]",
            "status": "(ARRAY['active', 'acknowledged', 'dismissed', 'resolved'])[1 + m / 20 % 4]",
            "created_at": "now() - (m * 7919 % 80) * interval '1 day' - n * interval '1 ms'",
            "expires_at": "date_trunc('hour', now()) + (m % 30 + 1) * interval '1 day'",
            "expires_at_given": "to_char(date_trunc('hour', now() AT TIME ZONE 'UTC') + (m % 30 + 1)"
                                " * interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
            "resolution_hours": "CASE WHEN m / 20 % 4 = 3 THEN m % 50 / 2.0 END",
        }),
        "alert_history": (0.5, {
            "history_id": "n::text", "alert_id": "md5(n::text)::uuid::text", "tenant_id": "tenant",
            "new_status": "'active'",
        }),
        "alert_rules": (0.2, {"id": "n::text", "tenant_id": "tenant", "field_id": FIELD, "enabled": "m % 2 = 0"}),
    },
    "equipment": {
        "equipment": (1, {
            "equipment_id": EQUIPMENT, "tenant_id": "tenant", "name": "'Machine ' || m", "name_ar": "'آلة ' || m",
            "equipment_type": MACHINES, "status": OPERATIONS, "brand": "'John Deere'", "model": "'M' || m % 9",
            "serial_number": "'SN' || n", "year": "2000 + m % 25", "purchase_price": "m % 1000 * 100",
            "field_id": FIELD,
            "current_hours": "m % 2000", "current_lat": "12 + n % 1000 / 200.0", "current_lon": "42 + n % 997 / 100.0",
            "next_maintenance_at": "now() + (m % 400) * interval '1 day'", "qr_code": "'QR_' || n",
            "next_maintenance_hours": "CASE WHEN m % 5 = 0 THEN m % 2000 + 300 END",
        }),
        "equipment_alerts": (0.1, {
            "alert_id": "'alert' || n", "equipment_id": EQUIPMENT, "tenant_id": "tenant", "is_overdue": "m % 2 = 0",
            "priority": "(ARRAY['critical', 'high', 'medium', 'low'])[1 + m % 4]", "maintenance_type": "'oil_change'",
        }),
        "equipment_maintenance": (0.5, {
            "record_id": "'maint' || n", "equipment_id": EQUIPMENT, "tenant_id": "tenant",
            "maintenance_type": "'repair'",
        }),
        "equipment_photos": (0.2, {"photo_id": "'p' || n", "equipment_id": EQUIPMENT, "tenant_id": "tenant"}),
    },
    "billing": {
        "tenants": (1, {"tenant_id": "'tenant' || n", "name": "'Farm ' || n"}),
        "subscriptions": (1, {
            "subscription_id": "'sub' || n", "tenant_id": "'tenant' || n", "billing_cycle": "'monthly'",
            "plan_id": "(ARRAY['free', 'starter', 'professional', 'enterprise'])[1 + n % 4]", "currency": "'USD'",
            "status": "(ARRAY['active', 'trial', 'canceled', 'expired'])[1 + n / 4 % 4]",
        }),
        "invoices": (1, {
            "invoice_id": "'inv' || n", "invoice_number": "'N' || n", "tenant_id": "tenant_of",
            "subscription_id": "'sub' || n", "plan_id": "(ARRAY['free', 'starter'])[1 + n % 2]", "currency": "'USD'",
            "status": "(ARRAY['paid', 'pending', 'overdue', 'draft'])[1 + m % 4]", "line_items": "'[]'",
            "issue_date": "current_date - m", "paid_date": "CASE WHEN m % 4 = 0 THEN current_date - m END",
        }),
        "payments": (1, {
            "payment_id": "'pay' || n", "invoice_id": "'inv' || n", "tenant_id": "tenant_of", "currency": "'USD'",
            "method": "'cash'", "status": "'succeeded'",
        }),
        "usage_totals": (1, {"total_id": "'t' || n", "tenant_id": "tenant_of", "metric": "'api_calls'"}),
        "billing_history": (1, {
            "change_id": "'c' || n", "tenant_id": "tenant_of", "invoice_id": "'inv' || n", "action": "'created'",
        }),
    },
    "notifications": {
        "farmer_profiles": (1, {
            "farmer_id": "'farmer' || n", "governorate": "(ARRAY['sanaa', 'aden', 'ibb'])[1 + n % 3]",
        }),
        "farmer_crops": (1, {
            "key": "n::text", "farmer_id": "'farmer' || n", "crop_type": "(ARRAY['wheat', 'coffee', 'qat'])[1 + n % 3]",
            "governorate": "(ARRAY['sanaa', 'aden', 'ibb'])[1 + n % 3]", "registered_at": "now()",
        }),
        "notifications": (1, {
            "user_id": FARMER, "type": "(ARRAY['weather_alert', 'pest_outbreak', 'system'])[1 + m % 3]",
            "priority": PRIORITIES, "channel": "'in_app'",
            "is_read": "m / 3 % 3 = 2", "created_at": "now() - m * interval '1 hour'",
            "expires_at": "now() + (m % 200 - 100) * interval '1 hour'",
            "shown_until": "now() + (m % 200 - 100) * interval '1 hour'",
            "target_governorates": "ARRAY[(ARRAY['sanaa', 'aden', 'ibb'])[1 + n % 3]]",
            "target_crops": "ARRAY[(ARRAY['wheat', 'coffee', 'qat'])[1 + n % 3]]",
        }),
        "notification_preferences": (1, {"key": "n::text", "user_id": "'farmer' || n", "min_priority": "'low'"}),
    },
    "crop_health": {
        "crop_diagnoses": (1, {
            "disease_id": "(ARRAY['healthy', 'wheat_leaf_rust', 'tomato_late_blight'])[1 + m % 3]",
            "severity": "(ARRAY['low', 'medium', 'high', 'critical', 'healthy'])[1 + m % 5]",
            "disease_name_ar": "'مرض ' || m % 3", "confidence": "0.9", "crop_type": "'wheat'", "field_id": FIELD,
            "status": "(ARRAY['pending', 'confirmed', 'rejected', 'treated'])[1 + m / 5 % 4]",
            "governorate": "(ARRAY['sanaa', 'aden', 'ibb', 'taiz'])[1 + m / 20 % 4]",
            "lat": "12 + n % 1000 / 200.0", "lng": "42 + n % 997 / 100.0",
            "created_at": "now() - (n * 7919 % 800) * interval '1 hour' - n * interval '1 ms'",
        }),
    },
}  # fmt: skip


def fill(address: Address, service: str, rows: int, tenants: int) -> None:
    """Fills a service's tables, which are empty but for its seeds, and lets the planner know of it."""
    with psycopg.connect(address.conninfo(), autocommit=True) as conn:
        conn.execute("SET maintenance_work_mem = '256MB'")
        for table, (share, columns) in SERVICES[service].items():
            again = _drop_indexes(conn, table) if rows >= MANY else []
            conn.execute(_insert(conn, table, columns), {"rows": int(rows * share), "tenants": tenants})
            for make in again:
                conn.execute(make.encode())
        conn.execute("VACUUM ANALYZE")


def _drop_indexes(conn: psycopg.Connection[Any], table: str) -> list[str]:
    """Drops the indexes that no constraint needs; the statements that make them again."""
    found = conn.execute(
        "SELECT i.indexrelid::regclass::text, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')"
        " FROM pg_index AS i WHERE i.indrelid = %s::regclass"
        " AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)",
        [table],
    ).fetchall()
    for name, _ in found:
        conn.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    return [make for _, make in found]


def _insert(conn: psycopg.Connection[Any], table: str, columns: Columns) -> sql.Composed:
    known = conn.execute(
        "SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns"
        " WHERE table_name = %s AND is_generated = 'NEVER' AND column_default IS NULL",
        (table,),
    ).fetchall()
    given = {name: columns.get(name) or PLAIN[kind] for name, kind, free in known if name in columns or not free}
    missing = columns.keys() - given.keys()
    assert not missing, (table, missing)
    return sql.SQL(
        "INSERT INTO {} ({}) SELECT {} FROM (SELECT n, n / %(tenants)s AS m, 'tenant' || n %% %(tenants)s AS tenant,"
        " 'tenant' || n %% %(tenants)s + 1 AS tenant_of FROM generate_series(1, %(rows)s) AS n) AS numbered"
    ).format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, given)),
        sql.SQL(", ").join(sql.SQL(text.replace("%", "%%")) for text in given.values()),  # type: ignore[arg-type]
    )
