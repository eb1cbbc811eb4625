"""Traces: one leads from the request that brought a fact or a decision to the judgement and to the payout.

Off unless an address is set (`REFERRALS_TRACES_URL`). A trace is carried by each wake-up in the outbox, by Temporal in
a header, and by each step of a workflow; it decides nothing. A span names what ran and how long it took. It bears ids
of runs and no content: what is not on the list below is left out, the words of an error too.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.api.common.v1 import Payload
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import (
    ContinueAsNewInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

#: Where a workflow's header and the requests of other programs keep a trace.
HEADER: Final = "_tracer-data"
_TRACEPARENT: Final = "traceparent"
_SHUT_DOWN_SECONDS: Final = 5.0

#: All attributes that a span may bear. Ids of workflows hold ids of referrals and payouts, which are never personal.
ALLOWED: Final = frozenset(
    {
        *("temporalWorkflowID", "temporalRunID", "temporalActivityID"),
        *("http.request.method", "http.route", "http.response.status_code"),
    }
)
#: Of an error, its class.
_OF_AN_ERROR: Final = frozenset({"exception.type"})
_propagator: Final = TraceContextTextMapPropagator()


class Tracing:
    """The tracing of one process."""

    def __init__(self, service: str, exporter: SpanExporter) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Cleaned(exporter)))
        self.tracer: Tracer = self._provider.get_tracer("referral_rewards")

    @classmethod
    def to(cls, url: str | None, service: str) -> "Tracing | None":
        """Return the tracing of a process that sends spans to an OTLP receiver over HTTP; None without an address."""
        if url is None:
            return None
        # Here, as it loads slowly and few need it.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return cls(service, OTLPSpanExporter(endpoint=url))

    def interceptor(self) -> ClientInterceptor:
        """Return what a Temporal client, and each worker over it, passes a trace on with."""
        return _Passing(self.tracer)

    async def close(self) -> None:
        """Send what is left. A receiver that does not answer is not waited for long."""
        async with asyncio.timeout(2 * _SHUT_DOWN_SECONDS):
            await asyncio.to_thread(self._provider.force_flush, int(_SHUT_DOWN_SECONDS * 1000))


def current() -> str | None:
    """Return the trace that is under way here, as W3C's traceparent; None without one."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(_TRACEPARENT)


@contextmanager
def following(traceparent: str | None) -> Iterator[None]:
    """Go on with a trace for the length of the block. What can't be read is none."""
    if traceparent is None:
        yield
        return
    token = context.attach(_propagator.extract({_TRACEPARENT: traceparent}, context.Context()))
    try:
        yield
    finally:
        context.detach(token)


class _Cleaned(SpanExporter):
    """Hands on of each span what it may tell."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_cleaned(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _cleaned(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_only(ALLOWED, span.attributes),
        events=[Event(each.name, _only(_OF_AN_ERROR, each.attributes), each.timestamp) for each in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _only(names: frozenset[str], attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in names}


class _Passing(TracingInterceptor):
    """The SDK's interceptor for clients and activities. In a workflow no span is made: only the header is passed on."""

    def workflow_interceptor_class(self, given: WorkflowInterceptorClassInput) -> Any:
        return _PassedOn


class _PassedOn(WorkflowInboundInterceptor):
    """Gives each step of a workflow the trace of the news that came last: of its start, then of each signal.

    It reads nothing of it and changes no command but the command's header, which replay does not compare. So workers
    with tracing and workers without it continue each other's runs.
    """

    newest: Payload | None = None

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Onward(outbound, self))

    async def execute_workflow(self, given: ExecuteWorkflowInput) -> Any:
        self._hear(given.headers)
        return await super().execute_workflow(given)

    async def handle_signal(self, given: HandleSignalInput) -> None:
        self._hear(given.headers)
        await super().handle_signal(given)

    def _hear(self, headers: Mapping[str, Payload]) -> None:
        self.newest = headers.get(HEADER) or self.newest

    def onward(self, headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
        return headers if self.newest is None else {**headers, HEADER: self.newest}


class _Onward(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, heard: _PassedOn) -> None:
        super().__init__(following)
        self._heard = heard

    def start_activity(self, given: StartActivityInput) -> Any:
        given.headers = self._heard.onward(given.headers)
        return super().start_activity(given)

    def start_local_activity(self, given: StartLocalActivityInput) -> Any:
        given.headers = self._heard.onward(given.headers)
        return super().start_local_activity(given)

    def continue_as_new(self, given: ContinueAsNewInput) -> Any:
        given.headers = self._heard.onward(given.headers)
        super().continue_as_new(given)
