"""What Temporal keeps of our runs is sealed, by keys that are replaced under way; what was kept in clear is read on."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from structlog.testing import capture_logs
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes
from temporalio.testing import WorkflowEnvironment

from referral_rewards.payload_codec import SEALED, Codec, converter, key_name
from referral_rewards.temporal import workflow_id
from tests.installation import Installation
from tests.patience import PATIENCE_SECONDS
from tests.workflows.scenes import before_its_approver, books, quiet, scene

OLD, NEW = {"2026-06": b"o" * 32}, {"2026-12": b"n" * 32}


def payloads(message: Message) -> Iterator[Payload]:
    """Every payload in a message, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        parts = value if field.is_repeated else [value]
        if field.message_type.GetOptions().map_entry:
            parts = [each for each in value.values() if isinstance(each, Message)]
        for each in parts:
            yield from payloads(each)


async def kept(client: Client, workflow: str) -> list[Payload]:
    """All payloads of a run's history but search attributes, which Temporal has to read, and what its own client notes
    of a local activity: its name and times."""
    history = await client.get_workflow_handle(workflow).fetch_history()
    found = [each for event in history.events for each in payloads(event)]
    return [each for each in found if "type" not in each.metadata and b'"activity_type"' not in each.data]


async def with_keys(environment: WorkflowEnvironment, keys: Mapping[str, bytes]) -> WorkflowEnvironment:
    """The same server, by a client with these keys."""
    host = environment.client.service_client.config.target_host
    return WorkflowEnvironment.from_client(await Client.connect(host, data_converter=converter(Codec(keys))))


@asynccontextmanager
async def at_work(life: Installation, keys: Mapping[str, bytes]) -> AsyncIterator[Installation]:
    """The same installation, its workers and relay started anew with these keys."""
    again = replace(life, environment=await with_keys(life.environment, keys))
    async with again.workers():
        yield again


async def test_a_run_lives_through_clear_and_sealed_payloads_and_a_replaced_key(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with scene(database_url, temporal_env) as life:
        async with at_work(life, {}) as clear:
            await before_its_approver(clear, "anne-and-bob")
        assert {key_name(each) for each in await kept(temporal_env.client, workflow_id("anne-and-bob"))} == {None}
        async with at_work(life, OLD) as sealed:
            await sealed.handle("anne-and-bob").signal("fact_arrived", str(uuid4()))
            await quiet(sealed, "anne-and-bob")
            await before_its_approver(sealed, "cleo-and-dan")
        history = await kept(temporal_env.client, workflow_id("cleo-and-dan"))
        assert {key_name(each) for each in history} == {"2026-06"}
        assert not any(b"cleo-and-dan" in each.data for each in history)
        assert all(each.metadata["encoding"] == SEALED for each in history)
        await _stops_for_a_missing_key_and_goes_on(life)
        async with at_work(life, NEW | OLD) as rotated:
            for referral in ("anne-and-bob", "cleo-and-dan"):
                await rotated.decide(referral)
                await rotated.settled(referral, among=frozenset({"rewarded"}))
        assert await life.money() == books("anne-and-bob", "cleo-and-dan")
        assert {key_name(each) for each in await kept(temporal_env.client, workflow_id("anne-and-bob"))} == {
            *(None, "2026-06", "2026-12")
        }


async def _stops_for_a_missing_key_and_goes_on(life: Installation) -> None:
    """Without the key a run neither ends nor goes on, and its history says that a step failed."""
    async with at_work(life, NEW) as without:
        with capture_logs() as logs:
            handle = without.handle("cleo-and-dan")
            await handle.signal("fact_arrived", str(uuid4()))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await _failed_tasks(handle):
                    await asyncio.sleep(0.05)
        assert {"key": "2026-06", "why": "no such key"}.items() <= next(
            each for each in logs if each["event"] == "payload_unreadable"
        ).items()
        description = await life.environment.client.get_workflow_handle(workflow_id("cleo-and-dan")).describe()
        assert description.close_time is None


async def _failed_tasks(handle: object) -> bool:
    history = await handle.fetch_history()  # type: ignore[attr-defined]
    return any(each.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED for each in history.events)


async def test_a_signal_that_nobody_can_open_is_dropped_and_stops_nothing(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with scene(database_url, temporal_env) as life, at_work(life, OLD) as sealed:
        await before_its_approver(sealed, "anne-and-bob")
        stranger = await with_keys(temporal_env, {"unknown": b"u" * 32})
        await stranger.client.get_workflow_handle(workflow_id("anne-and-bob")).signal("fact_arrived", str(uuid4()))
        await sealed.decide("anne-and-bob")
        await sealed.settled("anne-and-bob", among=frozenset({"rewarded"}))
        assert await life.money() == books("anne-and-bob")


@pytest.mark.parametrize("keys", [{}, OLD, NEW | OLD, {"clear": None} | OLD])
async def test_what_was_sealed_opens_with_any_of_the_keys_and_what_is_clear_stays_so(
    keys: Mapping[str, bytes | None],
) -> None:
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b'"anne-and-bob"')
    (sealed,) = await Codec(OLD).encode([clear])
    assert key_name(sealed) == "2026-06"
    assert b"anne-and-bob" not in sealed.data
    (same, opened) = await Codec(keys).decode([clear, sealed])
    assert (same, opened) == (clear, clear if keys else sealed)


@pytest.mark.parametrize(
    ("keys", "by"),
    [
        ({}, None),
        (OLD, "2026-06"),
        (NEW | OLD, "2026-12"),
        ({"clear": None} | OLD, None),
        (OLD | {"clear": None}, "2026-06"),
    ],
)
async def test_the_first_key_seals_and_with_none_in_its_place_nothing_is_sealed(
    keys: Mapping[str, bytes | None], by: str | None
) -> None:
    """So sealing begins and ends while processes are changed one after the other: all can open before one seals."""
    codec, clear = Codec(keys), Payload(metadata={"encoding": b"json/plain"}, data=b'"anne-and-bob"')
    (kept,) = await codec.encode([clear])
    assert (key_name(kept), codec.seals) == (by, by is not None)
    sealing = converter(codec).failure_converter_class is DefaultFailureConverterWithEncodedAttributes
    assert sealing is (by is not None), "texts of failures are sealed as payloads are"


@pytest.mark.parametrize("change", ["data", "name", "short"])
async def test_what_was_tampered_with_is_passed_on_unread_and_logged(change: str) -> None:
    (sealed,) = await Codec(OLD).encode([Payload(metadata={"encoding": b"json/plain"}, data=b'"anne-and-bob"')])
    forged = Payload.FromString(sealed.SerializeToString())
    if change == "data":
        forged.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
    elif change == "short":
        forged.data = b"x"
    else:
        forged.metadata["encryption-key-id"] = b"2026-12"
    both = Codec({**OLD, "2026-12": OLD["2026-06"]})
    with capture_logs() as logs:
        assert await both.decode([forged]) == [forged]
    assert [each["why"] for each in logs] == ["not sealed by it"]
