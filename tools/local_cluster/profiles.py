"""The user profile database of the cluster profile: a table, with made-up plans of the demo's visitors."""

from __future__ import annotations

from typing import Final

from local_cluster.waiting import NotReady

_USERS: Final = 20_000

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS profiles (
  user_id text PRIMARY KEY,
  updated_at timestamptz NOT NULL DEFAULT now(),
  user_country text,
  plan text
);
CREATE INDEX IF NOT EXISTS profiles_updated_at ON profiles (updated_at);
"""

_VISITORS: Final = f"""
INSERT INTO profiles (user_id, user_country, plan)
SELECT 'u-' || lpad(n::text, 5, '0'),
  (ARRAY['US', 'DE', 'FR', 'GB', 'JP', 'BR'])[1 + n % 6],
  (ARRAY['free', 'free', 'free', 'pro', 'pro', 'business'])[1 + n * 7 % 6]
FROM generate_series(0, {_USERS - 1}) AS n
WHERE NOT EXISTS (SELECT FROM profiles)
"""


def make_profiles(url: str) -> None:
    """Where there are none. Raises NotReady."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.execute(_TABLE.encode())
            connection.execute(_VISITORS.encode())
    except psycopg.Error as error:
        raise NotReady(f"the table of profiles can't be made: {error}") from error
