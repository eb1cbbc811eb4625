"""One trace leads from the request that brought a fact to the judgement, and from the decision to the payout.

It tells no content, and runs with and without it continue each other.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import text
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from models.session import Database
from referral_rewards.api.app import create_app
from referral_rewards.loopback import served
from referral_rewards.register import outbox
from referral_rewards.sources.http import RegisterSource
from referral_rewards.temporal import workflow_id
from referral_rewards.tracing import ALLOWED, HEADER, Tracing, current, following
from tests.chaos.cluster import until
from tests.desk import Desk, life_of
from tests.installation import Installation
from tests.replay.histories import FOLDER
from tests.statements import counted
from worker.build import payouts_worker, referrals_worker
from worker.relay import Relay
from worker.sandbox import runner
from workflows.payout import Payout
from workflows.referral import Referral

_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Receiver:
    """An OTLP receiver, and all that it was sent."""

    spans: list[Span] = field(default_factory=list)
    said: bytes = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        told = ExportTraceServiceRequest.FromString(body)
        self.said += body
        self.spans += [span for of in told.resource_spans for scoped in of.scope_spans for span in scoped.spans]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def names(self, trace: bytes) -> set[str]:
        return {span.name for span in self.spans if span.trace_id == trace}

    def trace_of(self, name: str) -> bytes:
        (trace,) = {span.trace_id for span in self.spans if span.name == name}
        return trace


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receiver, Tracing]]:
    receiver = Receiver()
    async with served(receiver) as url:
        tracing = Tracing.to(f"{url}/v1/traces", "test")
        assert tracing is not None
        yield receiver, tracing
        await tracing.close()


def test_without_an_address_nothing_is_traced() -> None:
    assert Tracing.to(None, "test") is None


async def test_one_trace_leads_from_the_fact_to_the_judgement_and_from_the_decision_to_the_payout(
    desk: Desk, temporal_env: WorkflowEnvironment
) -> None:
    url = desk.database._engine.url.render_as_string(hide_password=False)
    database = Database.at(url, traced_by=current)
    life = Installation(database, temporal_env, "traced")
    queue = life.queue
    async with life.ending(), receiving() as (receiver, tracing):
        client = Client(**{**temporal_env.client.config(), "interceptors": [tracing.interceptor()]})
        parts = replace(desk.parts, database=database, tracing=tracing)
        relay = Relay(database, client, referrals_queue=queue, payouts_queue=f"{queue}-p", pause=0.05)
        common = (database, parts.keys, parts.intake, {"register": RegisterSource()})
        transport = httpx.ASGITransport(create_app(parts))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://api") as api,
            referrals_worker(client, queue, *common),
            payouts_worker(client, f"{queue}-p", *common),
        ):
            traced = replace(desk, parts=parts, api=api)

            async def stands(status: str) -> bool:
                await relay.deliver()
                return bool((await traced.get("/v1/referrals/r1")).json()["status"] == status)

            assert (await traced.tell(life_of("r1"))).status_code == 202
            await until(lambda: stands("awaiting_approval"))
            assert (await traced.decide("r1", "approve")).status_code < 300
            await until(lambda: stands("rewarded"))
        history = await client.get_workflow_handle(workflow_id("r1")).fetch_history()
    await database.close()
    facts, decision = (receiver.trace_of(name) for name in ("POST /v1/events", "POST /v1/claims/{referral}/decisions"))
    assert {"StartWorkflow:Referral", "RunActivity:judge_referral"} <= receiver.names(facts)
    assert {
        *("SignalWithStartWorkflow:Referral", "RunActivity:judge_referral"),
        *("StartWorkflow:Payout", "RunActivity:send_payout"),
    } <= receiver.names(decision)
    assert not [span.name for span in receiver.spans if span.name.startswith("GET")]
    _tells_no_content(receiver, desk)
    assert HEADER in history.to_json()
    await _replays(history, [])


def _tells_no_content(receiver: Receiver, desk: Desk) -> None:
    for span in receiver.spans:
        assert {each.key for each in span.attributes} <= ALLOWED, span
        assert not span.status.message
    for word in ("example.com", "c-r1", "looked at it", "paula", "dexter", "80.00", *desk.tokens.values()):
        assert word.encode() not in receiver.said, word


async def _replays(history: WorkflowHistory, interceptors: list[Any]) -> None:
    replayer = Replayer(
        workflows=[Referral, Payout],
        data_converter=pydantic_data_converter,
        workflow_runner=runner(),
        interceptors=interceptors,
    )
    await replayer.replay_workflow(history)


@pytest.mark.parametrize("way", ["rewarded", "payout"])
async def test_a_run_that_began_without_traces_goes_on_with_them(way: str) -> None:
    recorded = (FOLDER / f"{way}.json").read_text()
    assert HEADER not in recorded
    async with receiving() as (receiver, tracing):
        await _replays(WorkflowHistory.from_json(way, recorded), [tracing.interceptor()])
    assert receiver.spans == [], "what is replayed is told no second time"


async def test_what_a_span_may_not_tell_is_left_out() -> None:
    async with receiving() as (receiver, tracing):
        with suppress(ValueError), tracing.tracer.start_as_current_span("of an error") as span:
            span.set_attributes({"email": "a@example.com", "http.route": "/v1/events"})
            span.add_event("said", {"email": "b@example.com"})
            raise ValueError("dexter@example.com is not known")
    assert b"example.com" not in receiver.said
    (told,) = receiver.spans
    assert {each.key: each.value.string_value for each in told.attributes} == {"http.route": "/v1/events"}
    assert [each.key for event in told.events for each in event.attributes] == ["exception.type"]


@pytest.mark.parametrize("told", [None, _PARENT, "nonsense"])
def test_a_trace_that_can_not_be_read_is_none(told: str | None) -> None:
    with following(told):
        assert (current() or "").split("-")[1:2] == (told.split("-")[1:2] if told == _PARENT else [])
    assert current() is None


async def test_a_wake_up_bears_the_trace_of_its_transaction_and_no_later_one_does(desk: Desk) -> None:
    url = desk.database._engine.url.render_as_string(hide_password=False)
    database = Database.at(url, pool_size=1, traced_by=current)

    async def wake(connection: Any) -> None:
        subject = "CAST('00000000-0000-0000-0000-000000000001' AS uuid)"
        await connection.execute(
            text(f"INSERT INTO outbox (kind, target, subject_id) VALUES ('payout_due', 'p', {subject})")
        )

    await database.write(wake)
    with following(_PARENT), counted() as sent:
        await database.write(wake)
    assert len(sent.statements) == 2
    with counted() as sent:
        await database.write(wake)
    assert len(sent.statements) == 1, "a transaction without a trace costs nothing more"
    async with database.transaction() as connection:
        traces = (await connection.execute(text("SELECT trace FROM outbox ORDER BY id"))).scalars().all()
        (claimed,) = [each for each in await outbox.claim(connection, 10) if each.target == "p"]
    await database.close()
    assert [each and each.split("-")[1] for each in traces[-3:]] == [None, _PARENT.split("-")[1], None]
    assert (len(claimed.ids), claimed.trace) == (3, traces[-2])
