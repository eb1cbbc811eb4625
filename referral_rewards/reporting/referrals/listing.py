"""A referral with its status, in the exact form of ``referrals list --json``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.findings import CheckCode, Flag, Recommendation, Result
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts.orders import named
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import RewardKind, Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import typed_rows
from referral_rewards.reporting.shape import GivenId, Instant, Shape


class Converted(Protocol):
    """The columns of a referral that say which conversion counts, if any."""

    @property
    def order_id(self) -> str | None: ...
    @property
    def stores(self) -> Sequence[str]: ...
    @property
    def conversion_at(self) -> datetime | None: ...
    @property
    def net_minor(self) -> int | None: ...
    @property
    def currency(self) -> str | None: ...


class Conversion(Shape):
    """The conversion that counts for a referral. ``store`` gave it its order id, None if nobody told which did;
    ``net_minor`` is None if it has no amount."""

    order: GivenId
    store: GivenId | None
    occurred_at: Instant
    net_minor: int | None
    currency: str | None

    @classmethod
    def of(cls, row: Converted) -> "Conversion | None":
        """Return the conversion in a referral's row; None if it has none."""
        if row.order_id is None:
            return None
        assert row.conversion_at is not None  # both are written at once
        return cls(
            order=row.order_id,
            store=named(row.order_id, row.stores).store,
            occurred_at=row.conversion_at,
            net_minor=row.net_minor,
            currency=row.currency,
        )


class LegInBrief(Shape):
    """One reward to one beneficiary."""

    role: Side
    beneficiary: str | None
    kind: RewardKind
    amount_minor: int
    currency: str


class ClaimInBrief(Shape):
    """A reward claim as the listing shows it."""

    digest: str
    recommendation: Recommendation
    checks: dict[CheckCode, Result]
    flags: tuple[Flag, ...]
    score: int
    legs: tuple[LegInBrief, ...]
    routes: tuple[Role, ...]


class PayoutInBrief(Shape):
    """A payout and its state."""

    payout: UUID
    role: Side | None
    state: PayoutState
    amount_minor: int
    currency: str
    rail: str


class Placed(Shape):
    """A referral and its status. One that was never judged has no status: ``reason`` is what its parked facts wait for,
    or `not_started` if its workflow has not begun yet."""

    referral: GivenId
    program: str | None
    version: int | None
    referrer: str | None
    channel: str | None
    status: ReferralStatus | None
    reason: str | None
    deadline: Instant | None
    conversion: Conversion | None


class ReferralInBrief(Placed):
    """A referral in the form of `referrals list --json`."""

    claim: ClaimInBrief | None
    payouts: tuple[PayoutInBrief, ...]


async def listed(connection: AsyncConnection, referral: str) -> ReferralInBrief | None:
    """Return one referral as the listing shows it; None if it is merged into another one."""
    row = await typed_rows.read_one(connection, ListedRow, _LISTED, {"referral": referral})
    return in_brief(row) if row is not None else None


#: Why a referral has no status whose facts wait for nothing: its wake-up was not delivered yet.
NOT_STARTED: Final = "not_started"


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A referral as `COLUMNS` reads it."""

    id: str
    program: str | None
    version: int | None
    referrer: str | None
    channel: str | None
    status: ReferralStatus | None
    reason: str | None
    parked: str | None
    deadline: datetime | None
    order_id: str | None
    stores: Sequence[str]
    conversion_at: datetime | None
    net_minor: int | None
    currency: str | None
    body: Mapping[str, Any] | None
    payouts: Sequence[Mapping[str, Any]]


def in_brief(row: ListedRow) -> ReferralInBrief:
    """Return a referral as the listing shows it."""
    return ReferralInBrief(
        referral=row.id,
        program=row.program,
        version=row.version,
        referrer=row.referrer,
        channel=row.channel,
        status=row.status,
        reason=row.parked or row.reason or (NOT_STARTED if row.status is None else None),
        deadline=row.deadline,
        conversion=Conversion.of(row),
        claim=_claim(row.body),
        payouts=tuple(PayoutInBrief(**each) for each in row.payouts),
    )


def _claim(body: Mapping[str, Any] | None) -> ClaimInBrief | None:
    if body is None:
        return None
    return ClaimInBrief(
        digest=body["digest"],
        recommendation=body["recommendation"],
        checks={check["code"]: check["result"] for check in body["checks"]},
        flags=tuple(dict.fromkeys(raised["flag"] for raised in body["flags"])),
        score=body["score"],
        legs=body["legs"],
        routes=body["requirement"]["routes"],
    )


#: What a `ListedRow` is read from, beside the referral ``r``. If a payout pays legs of several referrals, each referral
#: shows its own part.
COLUMNS: Final = "r.*, c.body, coalesce(p.payouts, '[]') AS payouts"
BESIDE: Final = """
LEFT JOIN reward_claim c ON c.id = r.claim_id
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object(
        'payout', p.id, 'role', o.role, 'state', p.state,
        'amount_minor', CASE WHEN p.cycle_id IS NULL THEN p.amount_minor ELSE l.amount_minor END,
        'currency', p.currency, 'rail', p.rail) ORDER BY o.role DESC, o.live DESC, p.id) AS payouts
    FROM payouts_of(r.id) AS o JOIN payout p ON p.id = o.payout_id JOIN leg l ON l.id = o.leg_id
) AS p ON true
"""

# A request merged into a tracked referral is evidence there and not listed, unless it was once judged as its own
# referral.
_LISTED: Final = text(
    f"SELECT {COLUMNS} FROM referral r {BESIDE}"  # noqa: S608 (constants of ours)
    " WHERE r.id = :referral AND (r.merged_into IS NULL OR r.status IS NOT NULL)"
)
