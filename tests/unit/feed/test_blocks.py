from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamgauge.feed.blocks import BLOCK_BYTES_MAX, BLOCK_RECORDS_MAX, blocks
from streamgauge.feed.source import Line


@given(st.lists(st.integers(1, 65_536), max_size=200))
def test_blocks_are_consecutive_and_together_all_records(sizes: list[int]) -> None:
    records = [Line(number, b"x" * size) for number, size in enumerate(sizes, 1)]
    cut = list(blocks(records))
    assert [record for block in cut for record in block.records] == records
    assert [block.start for block in cut[1:]] == [block.end for block in cut[:-1]]
    assert all(sum(len(record.data) for record in block.records[:-1]) < BLOCK_BYTES_MAX for block in cut)


def test_a_block_has_no_more_records_than_it_may() -> None:
    records = (Line(number, b"x") for number in range(1, 2 * BLOCK_RECORDS_MAX + 2))
    assert [len(block.records) for block in blocks(records)] == [BLOCK_RECORDS_MAX, BLOCK_RECORDS_MAX, 1]
