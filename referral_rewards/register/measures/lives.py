"""Load what the measures read of referrals, for many of them at once."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.measures.deriving import Assembled, Record, life_of
from referral_rewards.domain.measures.life import Life, Money, Reward
from referral_rewards.domain.notices.contact import NoticeState, Template
from referral_rewards.domain.payouts.states import FREED, OWED, LegState, PayoutState
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import Reason, Side
from referral_rewards.register import programs, typed_rows
from referral_rewards.register.referrals import rows as referrals


class Measured(NamedTuple):
    """A referral's program, the terms that it is bound to, and what the measures read of it."""

    program: str
    terms: Terms
    life: Life


async def lives(connection: AsyncConnection, names: Sequence[str], now: datetime) -> list[Measured]:
    """Return what the measures read of these referrals as of ``now``. Those that were never judged, wait for terms or
    became part of another referral are left out."""
    asked = {"referrals": list(names)}
    rows = [referrals.of_row(row) for row in await connection.execute(_ROWS, asked)]
    facts = await _facts(connection, asked)
    claims = _by_referral(await typed_rows.read(connection, _Claim, _CLAIMS, asked), _Claim.assembled)
    legs = _by_referral(await typed_rows.read(connection, _Leg, _LEGS, asked), _Leg.reward)
    denied = {each.referral_id: each.at for each in await typed_rows.read(connection, _Moment, _DENIED, asked)}
    surveys = _by_referral(await typed_rows.read(connection, _Moment, _ASKED, asked), lambda each: each.at)
    found = []
    for row in rows:
        terms = await programs.find(connection, row.program, row.version)
        if terms is None or row.program is None:
            continue
        record = Record(
            row, facts[row.id], terms, claims[row.id], legs[row.id], denied.get(row.id), surveys[row.id]
        )  # fmt: skip
        found.append(Measured(row.program, terms, life_of(record, now)))
    return found


async def _facts(connection: AsyncConnection, asked: Mapping[str, object]) -> Mapping[str, list[Fact]]:
    found: defaultdict[str, list[Fact]] = defaultdict(list)
    for row in await connection.execute(_FACTS, asked):
        found[row.referral_id].append(referrals.fact_of(row))
    return found


class _OfReferral(Protocol):
    @property
    def referral_id(self) -> str: ...


_Row = TypeVar("_Row", bound=_OfReferral)
_Value = TypeVar("_Value")


def _by_referral(rows: Iterable[_Row], value: Callable[[_Row], _Value]) -> Mapping[str, list[_Value]]:
    found: defaultdict[str, list[_Value]] = defaultdict(list)
    for row in rows:
        found[row.referral_id].append(value(row))
    return found


class _Claim(NamedTuple):
    referral_id: str
    assembled_at: datetime
    flags: Sequence[Mapping[str, Any]]
    legs: Sequence[Mapping[str, Any]]

    def assembled(self) -> Assembled:
        flags = {Flag(each["flag"]) for each in self.flags}
        sums: defaultdict[str, int] = defaultdict(int)
        for leg in self.legs:
            sums[leg["currency"]] += leg["amount_minor"]
        money = tuple(Money(currency, minor) for currency, minor in sorted(sums.items()))
        return Assembled(self.assembled_at, tuple(flag for flag in Flag if flag in flags), money)


class _Leg(NamedTuple):
    referral_id: str
    role: Side
    kind: str
    amount_minor: int
    currency: str
    state: LegState
    approved_at: datetime
    decided_at: datetime | None
    settled_at: datetime | None
    taken_back_minor: int

    def reward(self) -> Reward:
        return Reward(
            side=self.role,
            kind=self.kind,
            amount=Money(self.currency, self.amount_minor),
            decided_at=self.decided_at or self.approved_at,
            approved_at=self.approved_at,
            settled_at=self.settled_at,
            taken_back_minor=self.taken_back_minor,
            owed=self.state in OWED,
            counted=self.state not in FREED,
        )


class _Moment(NamedTuple):
    referral_id: str
    at: datetime


_ROWS: Final = text(f"""
SELECT {referrals.COLUMNS} FROM referral
WHERE id = ANY(CAST(:referrals AS text[])) AND status IS NOT NULL AND parked IS NULL AND merged_into IS NULL
""")  # noqa: S608 (names of ours)

_FACTS: Final = text(f"""
SELECT rf.referral_id, f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at, f.data, f.marks, f.digest,
       rf.version, true AS batch_finished, {referrals.TELLER}
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id
WHERE rf.referral_id = ANY(CAST(:referrals AS text[]))
""")  # noqa: S608 (words of ours)

_CLAIMS: Final = text("""
SELECT referral_id, assembled_at, body->'flags' AS flags, body->'legs' AS legs
FROM reward_claim WHERE referral_id = ANY(CAST(:referrals AS text[])) ORDER BY assembled_at, id
""")

# Of a payment that its provider returned, and that was made again, the last one counts.
_LEGS: Final = statement(
    """
SELECT l.referral_id, l.role, l.kind, l.amount_minor, l.currency, l.state, l.approved_at,
       (SELECT max(d.decided_at) FROM decision d WHERE d.id = ANY(CAST(l.decisions AS uuid[]))) AS decided_at,
       (SELECT max(p.settled_at) FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id
        WHERE pl.leg_id = l.id AND p.state = :settled) AS settled_at,
       (SELECT CAST(coalesce(sum(b.recovered_minor), 0) AS bigint) FROM clawback b WHERE b.leg_id = l.id)
       - returned_of(l.id) AS taken_back_minor
FROM leg l WHERE l.referral_id = ANY(CAST(:referrals AS text[])) ORDER BY l.approved_at, l.id
""",
    settled=PayoutState.SETTLED,
)

# A denial of a referral that is closed already answers an appeal: it came after the one that closed it.
_DENIED: Final = statement(
    """
SELECT r.id AS referral_id, max(d.decided_at) AS at
FROM referral r JOIN decision d ON d.referral_id = r.id AND d.kind = :deny AND d.decided_at <= r.closed_at
WHERE r.id = ANY(CAST(:referrals AS text[])) AND r.reason = :by_decision GROUP BY r.id
""",
    deny=DecisionKind.DENY,
    by_decision=Reason.DENIED_BY_DECISION,
)

_ASKED: Final = statement(
    """
SELECT referral_id, settled_at AS at FROM notice
WHERE referral_id = ANY(CAST(:referrals AS text[])) AND template = :survey AND audience = :referrer AND state = :sent
""",
    survey=Template.SATISFACTION_SURVEY,
    referrer=Side.REFERRER,
    sent=NoticeState.SENT,
)
