"""User profiles: what is known of a user beside the events, kept in memory for the stream to join."""
