"""The API's Prometheus metrics: facts received, items waiting, the state of money, and messages."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.ready = Gauge(
            "referrals_ready", "1 while the process can do its work, as `/readyz` tells it.", registry=self._registry
        )
        self.parts_silent = Gauge(
            "referrals_parts_silent",
            "Parts of the process that ended or hang, as `/livez` names them.",
            registry=self._registry,
        )
        self.measured_at = Gauge(
            "referrals_measured_timestamp_seconds",
            "When the gauges below were counted last, in seconds since 1970; 0 if never.",
            registry=self._registry,
        )
        self.facts = Counter(
            "referrals_facts", "Facts sent to the API, by what became of them.", ["outcome"], registry=self._registry
        )
        self.source_events = Counter(
            "referrals_source_events",
            "Events that vendors sent, by source and by what became of them.",
            ["source", "outcome"],
            registry=self._registry,
        )
        self.pulls_late = Gauge(
            "referrals_source_pull_late_seconds",
            "For how long the next successful pull of a source is due; 0 while it is not.",
            ["source"],
            registry=self._registry,
        )
        self.decisions = Counter(
            "referrals_decisions", "Decisions asked of the API.", ["kind", "outcome"], registry=self._registry
        )
        self.outbox = Gauge(
            "referrals_outbox_depth", "Wake-ups that wait to be delivered to workflows.", registry=self._registry
        )
        self.attributes_missing = Gauge(
            "referrals_search_attributes_missing",
            "Search attributes of ours that the Temporal namespace lacks: no referral's workflow can start.",
            registry=self._registry,
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

        self.queue = Gauge(
            "referrals_queue_entries",
            "What waits for a person, by why, up to 1000 of each; `evidence_conflict` are claims with that flag.",
            ["exception"],
            registry=self._registry,
        )
        self.payouts = Gauge(
            "referrals_payouts",
            "Payouts by where they stand and by rail, without those that are settled or cancelled.",
            ["state", "rail"],
            registry=self._registry,
        )
        self.standing_still = Gauge(
            "referrals_payouts_standing_still",
            "Payouts that are due for a quarter of an hour and that no worker carries on.",
            registry=self._registry,
        )
        self.unknown_for_long = Gauge(
            "referrals_payouts_unknown_for_long",
            "Payouts of which nobody knows for an hour whether they were paid.",
            registry=self._registry,
        )
        self.oldest_unknown = Gauge(
            "referrals_payouts_unknown_oldest_seconds",
            "For how long the outcome of a payout is unknown, of the oldest one; 0 without any.",
            registry=self._registry,
        )
        self.rail_connected = Gauge(
            "referrals_rail_connected",
            "1 for a rail that a worker with access to its provider has reported lately.",
            ["rail"],
            registry=self._registry,
        )
        self.rail_halted = Gauge(
            "referrals_rail_halted", "1 for a rail that does not let us in.", ["rail"], registry=self._registry
        )
        self.restored_rails = Gauge(
            "referrals_restored_rails",
            "Rails that are halted because the register was restored.",
            registry=self._registry,
        )
        self.forgotten_payments = Gauge(
            "referrals_forgotten_payments",
            "Payments that a restored register forgot and that wait for a person.",
            registry=self._registry,
        )
        self.cycles_frozen = Gauge(
            "referrals_cycles_frozen", "Payout cycles that wait for finance to release them.", registry=self._registry
        )
        self.cases_open = Gauge(
            "referrals_clawback_cases_open", "Clawback cases that wait for a person.", registry=self._registry
        )
        self.erasings = Gauge(
            "referrals_erasings_waiting", "Erasings of persons that wait until something ends.", registry=self._registry
        )
        self.oldest_erasing = Gauge(
            "referrals_erasings_oldest_seconds",
            "For how long the oldest erasing of a person waits; 0 without any.",
            registry=self._registry,
        )
        self.unbalanced = Gauge(
            "referrals_ledger_unbalanced",
            "Transactions among the newest of the books that do not balance; never above 0.",
            registry=self._registry,
        )

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
