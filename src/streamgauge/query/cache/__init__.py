"""The cache of answers: what may be kept (`answers`), for how long, and where (`base`, `memory`, `redis`)."""
