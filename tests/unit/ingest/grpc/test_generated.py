"""What `make proto` writes is part of the repository, so that `make up` needs no compiler."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from grpc_tools import protoc

import streamgauge.ingest.grpc

_ROOT = Path(__file__).parents[4]
_GENERATED = Path(streamgauge.ingest.grpc.__file__).parent


@pytest.mark.parametrize("name", sorted(file.stem for file in (_ROOT / "proto").glob("*.proto")))
def test_the_code_in_the_repository_is_that_of_the_proto_files(name: str, tmp_path: Path) -> None:
    folders = [f"-I{_ROOT / 'proto'}", f"-I{files('grpc_tools') / '_proto'}"]
    arguments = ["protoc", *folders, f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"{name}.proto"]
    assert protoc.main(arguments) == 0
    for file in tmp_path.iterdir():
        assert (_GENERATED / file.name).read_text() == file.read_text(), "run: make proto"


def test_both_ways_to_read_a_request_have_the_same_fields() -> None:
    from streamgauge.ingest.grpc.batch_pb2 import Batch
    from streamgauge.ingest.grpc.ingest_pb2 import SendRequest

    def numbers(fields: object) -> dict[str, int]:
        return {field.name: field.number for field in fields}  # type: ignore[attr-defined]

    assert numbers(Batch.DESCRIPTOR.fields) == numbers(SendRequest.DESCRIPTOR.fields)
