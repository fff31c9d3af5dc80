"""Stage 4, hold: rollups, raw events and the dead letter in ClickHouse's engine, embedded or a server."""
