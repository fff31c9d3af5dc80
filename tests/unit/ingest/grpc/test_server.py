"""The port of gRPC as the real grpcio sees it, over a log in memory."""

from __future__ import annotations

import asyncio
import gc
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from grpc_client import Client, Told, each, request_with, told_by
from local_cluster.waiting import free_port
from streamgauge.config import GrpcSettings
from streamgauge.core.errors import ConfigError, Overloaded, Unauthorized, Unavailable
from streamgauge.ingest.grpc.ingest_pb2 import SendRequest
from streamgauge.ingest.grpc.server import GrpcServer
from streamgauge.ingest.grpc.service import BATCHES_UNDER_WAY_MAX, Authorize, IngestService
from unit.ingest.memory_log import Desk

EVENT = {"event": "page_view", "user_id": "u1"}
_CODE = grpc.StatusCode


class Served:
    def __init__(self, desk: Desk, server: GrpcServer, channel: grpc.aio.Channel) -> None:
        self.desk, self.server, self.channel = desk, server, channel
        self.client = Client(channel)

    async def refusal(self, call: Callable[[], Any]) -> Told:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call()
        return told_by(refused.value)

    async def health(self) -> int:
        stub = health_pb2_grpc.HealthStub(self.channel)
        return (await stub.Check(health_pb2.HealthCheckRequest(service="streamgauge.v1.Ingest"))).status


async def anyone(_: object) -> None:
    """Where no key is needed."""


@asynccontextmanager
async def served(
    settings: GrpcSettings | None = None, *, can_accept: bool = True, authorize: Authorize = anyone, **limits: Any
) -> AsyncIterator[Served]:
    desk, address = Desk(**limits), f"127.0.0.1:{free_port()}"
    server = GrpcServer(
        IngestService(desk.ingest, desk.limits, settings or GrpcSettings(), desk.metrics, authorize),
        address,
        settings or GrpcSettings(),
        body_bytes_max=desk.limits.body_bytes_max,
        can_accept=lambda: can_accept,
    )
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Served(desk, server, channel)
    finally:
        await server.stop(0)


async def test_a_batch_is_answered_for_each_event_when_it_is_in_the_log() -> None:
    async with served() as one:
        answer = await one.client.send(request_with([EVENT, {"page": "/"}, {**EVENT, "event_id": "a"}], batch_id=7))
        assert (answer.count, answer.rejected_count, answer.without_event_id_count, answer.batch_id) == (2, 1, 1, 7)
        assert [(bad.index, bad.code) for bad in answer.rejected] == [(1, "missing_event")]
        assert len(one.desk.log.records) == 3
        assert one.desk.count("streamgauge_grpc_events_total", outcome="accepted") == 2
        assert one.desk.count("streamgauge_grpc_events_total", outcome="rejected") == 1
        assert one.desk.count("streamgauge_grpc_calls_total", method="Send", status="OK") == 1


async def test_json_is_taken_as_rest_takes_it() -> None:
    async with served() as one:
        body = b'{"event":"a"}\n{"event":3}\n{"event":"b","n":NaN}\n{"event":"c\xff"}\n{"event":"d"}'
        answer = await one.client.send(SendRequest(json=body))
        codes = [(bad.index, bad.code) for bad in answer.rejected]
        assert (answer.count, codes) == (2, [(1, "invalid_event"), (2, "malformed"), (3, "malformed")])


async def test_only_the_first_hundred_reasons_are_listed() -> None:
    async with served() as one:
        answer = await one.client.send(request_with([{}] * 150))
        assert (answer.count, answer.rejected_count, len(answer.rejected)) == (0, 150, 100)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"\xff\xff", Told(_CODE.INVALID_ARGUMENT, "malformed_body", "see proto/ingest.proto", None)),
        (b"", Told(_CODE.INVALID_ARGUMENT, "empty_body", 'send at least {"event": "page_view"}', None)),
        (b"\x12\x01{", Told(_CODE.INVALID_ARGUMENT, "malformed_body", "send one object, an array, or NDJSON", None)),
        (
            b"\x0a\x00" * 21,
            Told(
                _CODE.RESOURCE_EXHAUSTED,
                "body_too_large",
                "send smaller batches, or raise ingest.batch_events_max in the config file",
                None,
            ),
        ),
        (
            b"\x12\xd2\x0f" + b" " * 2002,
            Told(
                _CODE.RESOURCE_EXHAUSTED,
                "body_too_large",
                "send smaller batches, or raise ingest.body_bytes_max in the config file",
                None,
            ),
        ),
    ],
)
async def test_what_can_never_be_taken_says_why_and_not_to_try_again(message: bytes, told: Told) -> None:
    async with served(batch_events_max=20, body_bytes_max=2_000) as one:
        assert await one.refusal(lambda: one.client.raw(message)) == told
        assert not one.desk.log.records
        assert one.desk.count("streamgauge_grpc_calls_total", method="Send", status=told.status.name) == 1


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_message_over_the_limit_is_not_held_in_memory_however_small_it_is_packed(
    compression: grpc.Compression,
) -> None:
    async with served(body_bytes_max=2_000) as one:
        # Less than gRPC takes where nothing is said, so that it is this server's limit that refuses it.
        bomb = SendRequest(json=b'{"event":"a"}' + b" " * 3_000_000)
        told = await one.refusal(lambda: one.client.send(bomb, compression=compression))
        # Without a code: the service, which has one for it, was never given the message.
        assert told == Told(_CODE.RESOURCE_EXHAUSTED, "", "", None)
        answer = await one.client.send(SendRequest(json=b'{"event":"a"}' + b" " * 1900), compression=compression)
        assert answer.count == 1


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            Overloaded("the queue is full", hint="slow down", retry_after_s=2),
            Told(_CODE.RESOURCE_EXHAUSTED, "overloaded", "slow down", 2),
        ),
        (Unavailable("the disk is full"), Told(_CODE.UNAVAILABLE, "unavailable", "", 1)),
    ],
)
async def test_what_goes_away_by_itself_says_when_to_try_again(problem: Overloaded, told: Told) -> None:
    async with served() as one:
        one.desk.log.refuses_with = problem
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await one.client.send(request_with([EVENT]))
        assert told_by(refused.value) == told
        assert refused.value.trailing_metadata()["grpc-retry-pushback-ms"] == str(problem.retry_after_s * 1000)
        assert await one.refusal(lambda: _answers(one, [request_with([EVENT])])) == told


async def test_a_bug_tells_the_caller_nothing_and_the_log_everything(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as one:
        one.desk.log.refuses_with = ZeroDivisionError("secret")  # type: ignore[assignment]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await one.client.send(request_with([EVENT]))
        assert refused.value.code() == _CODE.INTERNAL
        assert "secret" not in str(refused.value)
        assert "secret" in caplog.text


async def _answers(one: Served, requests: list[SendRequest]) -> list[int]:
    return [answer.batch_id async for answer in one.client.stream(each(requests))]


async def test_a_stream_answers_every_batch_in_its_order() -> None:
    async with served() as one:
        requests = [request_with([EVENT] * (number % 3 + 1), batch_id=number) for number in range(300)]
        assert await _answers(one, requests) == list(range(300))
        assert len(one.desk.log.records) == 600
        assert one.desk.count("streamgauge_grpc_streams") == 0
        assert one.desk.count("streamgauge_grpc_calls_total", method="Stream", status="OK") == 1


async def test_a_stream_whose_batch_is_refused_answers_those_before_it() -> None:
    async with served() as one:
        call = one.client.stream(each([request_with([EVENT], batch_id=1), SendRequest(), request_with([EVENT])]))
        answers = aiter(call)
        assert (await anext(answers)).batch_id == 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(answers)
        assert told_by(refused.value).code == "empty_body"


async def test_a_stream_that_is_refused_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as one:
        one.desk.log.refuses_with = Overloaded("the queue is full")
        # Of which kind it is, grpcio doesn't always say to who is sending at that moment.
        await one.refusal(lambda: _answers(one, [request_with([EVENT])] * 10))
        assert one.desk.count("streamgauge_grpc_streams") == 0
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_slow_log_holds_the_client_back_instead_of_filling_the_memory() -> None:
    async with served() as one:
        gate, full, taken = asyncio.Event(), asyncio.Event(), 0
        append = one.desk.log.append

        async def slow(records: Any) -> None:
            nonlocal taken
            taken += 1
            if taken == BATCHES_UNDER_WAY_MAX:
                full.set()
            await gate.wait()
            await append(records)

        one.desk.log.append = slow  # type: ignore[method-assign]
        stream = asyncio.create_task(_answers(one, [request_with([EVENT], batch_id=n) for n in range(60)]))
        await asyncio.wait_for(full.wait(), 10)
        await asyncio.sleep(0.1)  # more would have come by now
        assert taken == BATCHES_UNDER_WAY_MAX
        gate.set()
        assert await stream == list(range(60))


async def test_a_call_ends_at_its_deadline_and_the_next_one_is_taken() -> None:
    async with served() as one:
        gate, append = asyncio.Event(), one.desk.log.append

        async def stuck(records: Any) -> None:
            await gate.wait()
            await append(records)

        one.desk.log.append = stuck  # type: ignore[method-assign]
        told = await one.refusal(lambda: one.client.send(request_with([EVENT]), timeout=0.2))
        assert told.status == _CODE.DEADLINE_EXCEEDED
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await anext(aiter(one.client.stream(each([request_with([EVENT])]), timeout=0.2)))
        assert late.value.code() == _CODE.DEADLINE_EXCEEDED
        for method in ("Send", "Stream"):
            assert one.desk.count("streamgauge_grpc_calls_total", method=method, status="CANCELLED") == 1
        gate.set()
        assert (await one.client.send(request_with([EVENT]), timeout=5)).count == 1


async def test_a_server_that_leaves_answers_what_it_was_sent_and_ends_its_streams() -> None:
    async with served() as one:
        never = asyncio.Event()
        requests = [request_with([EVENT], batch_id=number) for number in range(20)]
        call = one.client.stream(each(requests, never.wait))
        assert [(await anext(aiter(call))).batch_id for _ in requests] == list(range(20))
        await one.server.leave()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await anext(aiter(call))
        assert told_by(ended.value).code == "unavailable"
        assert told_by(ended.value).retry_s == 1
        assert await one.health() == health_pb2.HealthCheckResponse.NOT_SERVING
        assert one.server.state().state == "stopping"
        assert (await one.client.send(request_with([EVENT]))).count == 1  # of those who don't know it yet


async def _silence(one: Served, *requests: SendRequest) -> Told:
    """How a stream ends whose client says no more after these, and doesn't end it."""
    return await asyncio.wait_for(one.refusal(lambda: _answered(one, *requests)), 10)


async def _answered(one: Served, *requests: SendRequest) -> None:
    async for answer in one.client.stream(each(requests, asyncio.Event().wait)):
        assert answer.count == 1


async def test_a_silent_stream_is_ended_and_says_why() -> None:
    async with served(GrpcSettings(stream_idle_s_max=0.2)) as one:
        told = await _silence(one, request_with([EVENT]))
        assert (told.status, told.code, told.retry_s) == (_CODE.UNAVAILABLE, "stream_over", 1)
        assert len(one.desk.log.records) == 1
        assert one.desk.count("streamgauge_grpc_streams") == 0


async def test_an_old_stream_is_ended_and_says_why() -> None:
    async with served(GrpcSettings(stream_age_s_max=0.2)) as one:
        told = await _silence(one, request_with([EVENT]))
        assert (told.status, told.code, told.retry_s) == (_CODE.UNAVAILABLE, "stream_over", 1)


async def test_who_may_send_nothing_holds_no_stream_open() -> None:
    async def nobody(_: object) -> None:
        raise Unauthorized("there is no key")

    async with served(authorize=nobody) as one:
        assert (await _silence(one)).status == _CODE.UNAUTHENTICATED
        assert one.desk.count("streamgauge_grpc_streams") == 0


async def test_health_is_what_the_log_says() -> None:
    async with served() as well, served(can_accept=False) as ill:
        assert await well.health() == health_pb2.HealthCheckResponse.SERVING
        assert await ill.health() == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_reflection_describes_the_service() -> None:
    async with served() as one:
        address = one.server.state().details["address"]

        def ask() -> tuple[list[str], list[str]]:
            with grpc.insecure_channel(address) as channel:
                database = ProtoReflectionDescriptorDatabase(channel)
                file = database.FindFileContainingSymbol("streamgauge.v1.Ingest")
                return sorted(database.get_services()), [method.name for method in file.service[0].method]

        services, methods = await asyncio.to_thread(ask)
        assert {"grpc.health.v1.Health", "streamgauge.v1.Ingest"} <= set(services)
        assert methods == ["Send", "Stream"]


async def test_two_servers_do_not_share_a_port() -> None:
    async with served() as one:
        address = one.server.state().details["address"]
        second = GrpcServer(
            IngestService(one.desk.ingest, one.desk.limits, GrpcSettings(), one.desk.metrics, anyone),
            address,
            GrpcSettings(),
            body_bytes_max=1_000,
            can_accept=lambda: True,
        )
        with pytest.raises(ConfigError, match=r"can't listen for gRPC"):
            await second.start()


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN={name}"
    command += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate, key


async def test_with_a_certificate_only_tls_is_spoken_and_a_client_authority_is_asked_for(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path, "server")
    client_certificate, client_key = _certificate(tmp_path, "client")
    settings = GrpcSettings(tls_certificate=str(certificate), tls_key=str(key), tls_client_ca=str(client_certificate))
    async with served(settings) as one:
        address = one.server.state().details["address"].replace("127.0.0.1", "localhost")
        told = await one.refusal(lambda: one.client.send(request_with([EVENT])))
        assert told.status == _CODE.UNAVAILABLE
        known = grpc.ssl_channel_credentials(
            certificate.read_bytes(), client_key.read_bytes(), client_certificate.read_bytes()
        )
        async with grpc.aio.secure_channel(address, known) as channel:
            assert (await Client(channel).send(request_with([EVENT]))).count == 1
        stranger = grpc.ssl_channel_credentials(certificate.read_bytes())
        async with grpc.aio.secure_channel(address, stranger) as channel:
            told = await one.refusal(lambda: Client(channel).send(request_with([EVENT])))
            assert told.status == _CODE.UNAVAILABLE


async def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = GrpcSettings(tls_certificate=str(tmp_path / "no.pem"), tls_key=str(tmp_path / "no.key"))
    with pytest.raises(ConfigError, match=r"no\.key: No such file"):
        async with served(settings):
            pass
