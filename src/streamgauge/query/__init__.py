"""Stage 5, ask: questions to answers."""
