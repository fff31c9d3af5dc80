"""Load: rows that a Flink job wrote to topics, brought into the store."""
