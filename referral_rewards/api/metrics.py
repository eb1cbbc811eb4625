"""What Prometheus may ask of the API: what was taken in, what waits to be delivered, and what is told to people."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.facts = Counter(
            "referrals_facts", "Facts sent to the API, by what became of them.", ["outcome"], registry=self._registry
        )
        self.decisions = Counter(
            "referrals_decisions", "Decisions asked of the API.", ["kind", "outcome"], registry=self._registry
        )
        self.outbox = Gauge(
            "referrals_outbox_depth", "Wake-ups that wait to be delivered to workflows.", registry=self._registry
        )
        self.notices = Gauge(
            "referrals_notices",
            "Messages by where they stand: those under way, and those settled in the last day.",
            ["state"],
            registry=self._registry,
        )
        self.notices_late = Gauge(
            "referrals_notices_late", "Messages that should have been told an hour ago.", registry=self._registry
        )

    def exposition(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)
