"""Stage 2, keep: the durable log of events."""
