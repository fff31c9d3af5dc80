"""Stage 3, transform: events to panes."""

import os

# Polars reads this when it is first imported. Half of the cores are left to HTTP and the store: on two cores more
# events are accepted a second so, for 3 % less work an event; how many can be kept up is the same.
os.environ.setdefault("POLARS_MAX_THREADS", str(max(1, (os.cpu_count() or 1) // 2)))
