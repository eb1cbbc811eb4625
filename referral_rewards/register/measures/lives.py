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
from referral_rewards.domain.measures.deriving import Assembled, Record, denied_by, life_of
from referral_rewards.domain.measures.life import Life, Money, Reward
from referral_rewards.domain.measures.looking_back import Step, as_it_stood
from referral_rewards.domain.notices.contact import NoticeState, Template
from referral_rewards.domain.payouts.states import FREED, OWED, LegState, PayoutState
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, Side
from referral_rewards.register import programs, typed_rows
from referral_rewards.register.measures.legs_then import LEGS_THEN, LegThen
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
    legs = _by_referral(await typed_rows.read(connection, _Leg, _LEGS, asked), _Leg.reward)
    found = await _found(connection, asked, legs)
    return [Measured(each.program, each.record.terms, life_of(each.record, now)) for each in found]


async def lives_then(connection: AsyncConnection, names: Sequence[str], moment: datetime) -> list[Measured]:
    """Return the same as it was before a past moment, from what was on record then."""
    asked = {"referrals": list(names)}
    rows = await typed_rows.read(connection, LegThen, LEGS_THEN, {**asked, "moment": moment})
    legs = _by_referral(rows, LegThen.reward)
    steps = _by_referral(await typed_rows.read(connection, _Step, _STEPS, asked), _Step.step)
    found = []
    for each in await _found(connection, asked, legs):
        stood = as_it_stood(each.record, steps[each.record.row.id], each.denials, moment)
        if stood is not None:
            found.append(Measured(each.program, stood.terms, life_of(stood, moment)))
    return found


class _Found(NamedTuple):
    """A referral's program and record, and when decisions were signed that denied it."""

    program: str
    record: Record
    denials: Sequence[datetime]


async def _found(
    connection: AsyncConnection, asked: Mapping[str, object], legs: Mapping[str, Sequence[Reward]]
) -> list[_Found]:
    rows = [referrals.of_row(row) for row in await connection.execute(_ROWS, asked)]
    facts = await _facts(connection, asked)
    claims = _by_referral(await typed_rows.read(connection, _Claim, _CLAIMS, asked), _Claim.assembled)
    denials = _by_referral(await typed_rows.read(connection, _Moment, _DENIALS, asked), lambda each: each.at)
    surveys = _by_referral(await typed_rows.read(connection, _Moment, _ASKED, asked), lambda each: each.at)
    found = []
    for row in rows:
        terms = await programs.find(connection, row.program, row.version)
        if terms is None or row.program is None:
            continue
        denied_at = denied_by(row, denials[row.id])
        record = Record(row, facts[row.id], terms, claims[row.id], legs.get(row.id, ()), denied_at, surveys[row.id])
        found.append(_Found(row.program, record, denials[row.id]))
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


class _Step(NamedTuple):
    referral_id: str
    at: datetime
    status: ReferralStatus
    reason: str | None

    def step(self) -> Step:
        return Step(self.at, self.status, self.reason)


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

_DENIALS: Final = statement(
    """
SELECT referral_id, decided_at AS at FROM decision
WHERE referral_id = ANY(CAST(:referrals AS text[])) AND kind = :deny ORDER BY seq
""",
    deny=DecisionKind.DENY,
)

_STEPS: Final = text("""
SELECT referral_id, at, status, reason FROM referral_step
WHERE referral_id = ANY(CAST(:referrals AS text[])) ORDER BY id
""")

_ASKED: Final = statement(
    """
SELECT referral_id, settled_at AS at FROM notice
WHERE referral_id = ANY(CAST(:referrals AS text[])) AND template = :survey AND audience = :referrer AND state = :sent
""",
    survey=Template.SATISFACTION_SURVEY,
    referrer=Side.REFERRER,
    sent=NoticeState.SENT,
)
