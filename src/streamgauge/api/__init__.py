"""Stage 6, answer: HTTP, live updates, the dashboard's files."""
