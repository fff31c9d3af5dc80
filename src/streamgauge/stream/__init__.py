"""Stage 3, transform: events to panes."""

import os

# Polars reads this when it is first imported. Half of the cores are left to HTTP and the store: on two cores the whole
# takes 5 % more events a second so.
os.environ.setdefault("POLARS_MAX_THREADS", str(max(1, (os.cpu_count() or 1) // 2)))
