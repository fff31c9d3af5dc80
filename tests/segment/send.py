"""Sends so many events with Segment's SDK for Python: send.py URL COUNT."""

import sys
import time

from segment.analytics.client import Client

host, count = sys.argv[1], int(sys.argv[2])
failed: list[object] = []
client = Client("a-key", host=host, gzip=True, on_error=lambda error, _: failed.append(error))
for number in range(count):
    client.track(f"u-{number % 7}", "python", {"number": number})
    if number % 50 == 0:
        time.sleep(0.02)
while not client.queue.empty():  # a flush gives up after a while
    client.flush()
client.shutdown()
sys.exit("\n".join(map(str, failed)) if failed else 0)
