"""Stage 3, transform: events to panes."""
