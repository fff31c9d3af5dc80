"""Stage 3, transform: events to panes."""

import os

# Polars reads this when it is first imported. Half of the cores are left to HTTP and the store: on two cores more
# events are accepted a second so, for 3 % less work an event; how many can be kept up is the same.
os.environ.setdefault("POLARS_MAX_THREADS", str(max(1, (os.cpu_count() or 1) // 2)))

# Polars' allocator gives memory back to the system half a second after it was freed, and a busy runner asks for the
# same again for its next batch: the system then clears each page anew. Kept for 10 s, an event takes 1 to 2 µs less.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,muzzy_decay_ms:10000")
