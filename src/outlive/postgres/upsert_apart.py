"""The upserts of partitioned tables, whose key alone is under no unique index.

A row is found by its key in whatever partition it is, changed where it is (PostgreSQL moves it when its partition
column changes), and added only where there is none. Two of these for one key must not run at once: whoever writes
takes the store's advisory lock exclusively first.
"""

from __future__ import annotations

PUT_LIVE = """
WITH n AS MATERIALIZED (
  SELECT {named_raised}
  FROM unnest({arrays}) AS n ({raw})
  LEFT JOIN outlive.tombstone b ON b.service = %(service)s AND b.store = %(store)s AND b.key = n.c0
), held AS MATERIALIZED (
  SELECT t.{key} AS key FROM {table} t JOIN n ON n.{key} = t.{key} ORDER BY t.{key} FOR UPDATE OF t
), changed AS (
  UPDATE {table} AS t SET {assign_new}, {version} = greatest(n.{version}, t.{version} + 1)
  FROM n JOIN held ON held.key = n.{key} WHERE t.{key} = n.{key}
  RETURNING t.{key}::text AS key, t.{version} AS version
), added AS (
  INSERT INTO {table} AS t ({columns}) SELECT {columns_n} FROM n
  WHERE NOT EXISTS (SELECT FROM held WHERE held.key = n.{key}) ORDER BY n.{key}
  RETURNING t.{key}::text AS key, t.{version} AS version
)
SELECT key, version FROM changed UNION ALL SELECT key, version FROM added
"""

INSERT_LIVE = """
WITH n AS MATERIALIZED (
  SELECT {named_raised}
  FROM unnest({arrays}) AS n ({raw})
  LEFT JOIN outlive.tombstone b ON b.service = %(service)s AND b.store = %(store)s AND b.key = n.c0
), held AS MATERIALIZED (
  SELECT t.{key} AS key FROM {table} t JOIN n ON n.{key} = t.{key} ORDER BY t.{key} FOR UPDATE OF t
)
INSERT INTO {table} AS t ({columns}) SELECT {columns_n} FROM n
WHERE NOT EXISTS (SELECT FROM held WHERE held.key = n.{key}) ORDER BY n.{key}
RETURNING t.{key}::text AS key, t.{version} AS version
"""

PUT_REPLAY = """
WITH n AS MATERIALIZED (
  SELECT {named}
  FROM unnest({arrays}) AS n ({raw})
  LEFT JOIN outlive.tombstone b ON b.service = %(service)s AND b.store = %(store)s AND b.key = n.c0
  WHERE b.version IS NULL OR b.version < {new_version}
), held AS MATERIALIZED (
  SELECT t.{key} AS key FROM {table} t JOIN n ON n.{key} = t.{key} ORDER BY t.{key} FOR UPDATE OF t
), changed AS (
  UPDATE {table} AS t SET {assign_new}, {version} = n.{version}
  FROM n JOIN held ON held.key = n.{key} WHERE t.{key} = n.{key} AND t.{version} < n.{version}
  RETURNING t.{key}::text AS key, t.{version} AS version
), added AS (
  INSERT INTO {table} AS t ({columns}) SELECT {columns_n} FROM n
  WHERE NOT EXISTS (SELECT FROM held WHERE held.key = n.{key}) ORDER BY n.{key}
  RETURNING t.{key}::text AS key, t.{version} AS version
)
SELECT key, version FROM changed UNION ALL SELECT key, version FROM added
"""

# Rows that a load has staged: those that are equal but for their version stay as they are.
PUT_STAGED = """
WITH n AS MATERIALIZED (
  SELECT {staged} FROM outlive_stage AS s
  LEFT JOIN outlive.tombstone AS b ON b.service = %(service)s AND b.store = %(store)s AND b.key = s.{key}::text
  WHERE b.version IS NULL OR b.version < s.{version}
), held AS MATERIALIZED (
  SELECT t.{key} AS key FROM {table} t JOIN n ON n.{key} = t.{key} ORDER BY t.{key} FOR UPDATE OF t
), changed AS (
  UPDATE {table} AS t SET {assigned_n} FROM n JOIN held ON held.key = n.{key}
  WHERE t.{key} = n.{key} AND t.{version} < n.{version} AND ROW({held})::text IS DISTINCT FROM ROW({fresh_n})::text
  RETURNING t.{key}::text AS key
), added AS (
  INSERT INTO {table} AS t ({columns}) SELECT {columns_n} FROM n
  WHERE NOT EXISTS (SELECT FROM held WHERE held.key = n.{key}) RETURNING t.{key}::text AS key
)
SELECT key FROM changed UNION ALL SELECT key FROM added
"""
