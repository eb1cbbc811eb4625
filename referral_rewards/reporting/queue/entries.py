"""The entries of the approvers' queue, in the form in which they are displayed."""

import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.clawbacks.proposals import to_do as advice_on_case
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.payouts.advice import to_do
from referral_rewards.domain.payouts.states import WAS_PAID, PayoutState
from referral_rewards.domain.referrals.lifecycle import CLOSED, PAID
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import dump
from referral_rewards.register.payouts.endings import GIVEN_UP
from referral_rewards.reporting.clawbacks import exchange_of
from referral_rewards.reporting.queue.filters import PAGE_MAX, Filters
from referral_rewards.reporting.queue.search import Asking, search
from referral_rewards.reporting.referrals.listing import Conversion, LegInBrief
from referral_rewards.reporting.shape import Instant, Shape


class Eligibility(Shape):
    """What the rules advise, the flags raised, and why a closed referral was closed."""

    recommendation: str | None
    flags: tuple[str, ...]
    reason: str | None


class Signature(Shape):
    """A decision on exactly this claim: who decided what, and when."""

    user: str
    roles: tuple[str, ...]
    kind: str
    at: Instant


class Approval(Shape):
    """The digest that a decision signs, the roles and number of people that must sign, and who has signed."""

    digest: str | None
    needs: tuple[str, ...]
    people: int
    signed: tuple[Signature, ...]
    since: Instant


class Payment(Shape):
    """A payout and its state."""

    payout: UUID
    state: str
    why: str | None


class Entry(Shape):
    """An entry of the queue: one thing that waits for a person."""

    referral: str | None = Field(
        description="Null for a payout cycle; the first one if a payout pays several referrals."
    )
    program: str | None
    exception: Waits
    subject: str = Field(
        description="The id of the leg, payout, fact or cycle, where a referral has several; else empty."
    )
    about: str | None
    to_do: str | None = Field(description="What a person must do, if not decide on the claim.")
    since: Instant
    overdue_from: Instant | None
    overdue: bool
    escalated: bool
    status: str | None
    referrer: str | None
    referred_customer: str | None
    eligibility: Eligibility
    conversion: Conversion | None
    reward: tuple[LegInBrief, ...]
    approval: Approval
    payment: tuple[Payment, ...]

    @property
    def selectable(self) -> bool:
        """Return whether it can be decided together with others; a flagged claim must be decided alone."""
        return self.exception is Waits.APPROVAL and not self.eligibility.flags


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the queue. ``next`` is the ``after`` of the next page, None at the end.

    ``early``: the page is not full although more may follow, because the search reached its limit.
    """

    entries: list[Entry]
    next: str | None
    early: bool = False


async def page(
    connection: AsyncConnection, keys: KeyRing, filters: Filters, asking: Asking | None, now: datetime
) -> Page:
    """Return a page of what waits for a person.

    These are claims to approve, late facts, open clawback cases, payouts that can't continue alone, payout cycles to
    release, and reported conversions that no source has confirmed. ``signed`` names only users whose signature
    ``keys`` verifies.

    Raises:
        RequestInvalid: for filters that do not fit together, or an invalid cursor.
    """
    found = await search(connection, filters, asking, now)
    return Page(await entries(connection, keys, found.keys, now), found.next, found.early)


async def entries(
    connection: AsyncConnection, keys: KeyRing, wanted: tuple[tuple[str, str, str], ...], now: datetime
) -> list[Entry]:
    """Return the entries with these keys (referral, exception, subject), in the order given; missing ones are left
    out."""
    rows = (await connection.execute(_ENTRIES, {"keys": dump(wanted)})).all() if wanted else []
    made = await decisions.on_referrals(connection, {row.id for row in rows if row.decided}, keys)
    return [_entry(row, made.get(row.id, []), now) for row in rows]


async def everything(
    connection: AsyncConnection, keys: KeyRing, filters: Filters, asking: Asking | None, now: datetime
) -> AsyncIterator[Entry]:
    """Yield all entries, reading page by page."""
    after = filters.after
    while True:
        asked = filters.model_copy(update={"after": after, "limit": PAGE_MAX})
        found = await page(connection, keys, asked, asking, now)
        for entry in found.entries:
            yield entry
        after = found.next
        if after is None:
            return


def _entry(row: Any, made: list[Decision], now: datetime) -> Entry:
    body: dict[str, Any] = row.body or {}
    about, to_do = _matter(row, now)
    return Entry(
        referral=row.referral_id or None,
        program=row.program,
        exception=row.exception,
        subject=row.subject,
        about=about,
        to_do=to_do,
        since=row.since,
        overdue_from=row.remind_at,
        overdue=row.remind_at is not None and row.remind_at <= now,
        escalated=row.escalate_at is not None and row.escalate_at <= now,
        status=row.status,
        referrer=row.referrer,
        referred_customer=row.customer,
        eligibility=Eligibility(
            recommendation=body.get("recommendation"),
            flags=tuple(dict.fromkeys(raised["flag"] for raised in body.get("flags", ()))),
            reason=row.reason,
        ),
        conversion=Conversion.of(row),
        reward=body.get("legs", ()),
        approval=_approval(row, body, made),
        payment=row.payouts,
    )


def _approval(row: Any, body: dict[str, Any], made: list[Decision]) -> Approval:
    requirement = body.get("requirement") or {"routes": (), "people": 0}
    return Approval(
        digest=body.get("digest"),
        needs=requirement["routes"],
        people=requirement["people"],
        signed=tuple(_signature(each) for each in made if body and each.digest == body["digest"]),
        since=row.since,
    )


def _matter(row: Any, now: datetime) -> tuple[str | None, str | None]:
    """What it is about, and what to do about it, where that is not to decide on the claim."""
    if row.cycle_due_on is not None:
        about = f"payout cycle of {row.program}, due on {row.cycle_due_on:%Y-%m-%d}"
        return about, _TO_DO_WITH_A_CYCLE[CycleState(row.cycle_state)]
    if row.payout_state is not None:
        advice = to_do(
            PayoutState(row.payout_state), sent=row.payout_sent_at is not None, given_up=row.payout_given_up,
            rail=row.payout_rail, key=row.payout_key,
        )  # fmt: skip
        return row.payout_why, advice
    if row.case_state is not None:
        room_minor, exchange = row.room_minor, exchange_of(row)
        return row.about, advice_on_case(
            CaseState(row.case_state), room_minor=room_minor, keys_in_review=row.in_review, exchange=exchange
        )
    if row.exception == Waits.APPEAL:
        return _appeal(row, now), _TO_DO[Waits.APPEAL]
    if row.exception == Waits.LATE_FACT:
        about = f"{row.late_facts} late {'fact' if row.late_facts == 1 else 'facts'}"
        return about, _TO_DO_AFTER_PAYMENT if row.status in PAID else _TO_DO[Waits.LATE_FACT]
    if row.exception == Waits.REPORTED and row.status in CLOSED:
        return row.about, _TO_DO_WITH_A_LATE_REPORT
    return row.about, _TO_DO.get(row.exception)


def _appeal(row: Any, now: datetime) -> str:
    """The appeal in its own words, who made it, and how long ago."""
    words = textwrap.shorten(row.appeal or "", _APPEAL_LENGTH_MAX, placeholder=" …")
    appeal = f"Appeal by the {row.appealed_by or 'person concerned'}, {_ago(now - row.appealed_at)}"
    return f"{appeal}: “{words}”" if words else f"{appeal} (its text was erased)"


def _ago(since: timedelta) -> str:
    """``2 days ago``, ``1 hour ago``, ``just now``."""
    for number, unit in ((since.days, "day"), (since.seconds // 3600, "hour"), (since.seconds // 60, "minute")):
        if number > 0:
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


#: So much of an appeal is shown in a list; the claim page shows all of it.
_APPEAL_LENGTH_MAX: Final = 200


_TO_DO_AFTER_PAYMENT: Final = (
    "Read what arrived after the watch. Reopen the referral, and it opens a clawback case for each paid reward that it "
    "affects; or open a case by hand. If nothing is to be taken back, leave it closed."
)
_TO_DO_WITH_A_LATE_REPORT: Final = (
    "Ask the source of conversions about the purchase. Once it is on record, reopen the referral; if the source does "
    "not know it, leave the referral closed."
)
_TO_DO_WITH_A_CYCLE: Final = {
    CycleState.FROZEN: "Check the list, then release the cycle. If something is wrong with it, stop it.",
    CycleState.STOPPED: "Nothing more of it is sent. Find out why it was stopped. Once that is settled, resume it.",
}
_TO_DO: Final = {
    Waits.LATE_FACT: "Read what arrived late. If it changes the outcome, reopen the referral; else leave it closed.",
    Waits.APPEAL: "Look at the referral again. If the appeal is right, reopen the referral; else leave it closed. "
    "Whoever appealed is told either way.",
    Waits.REPORTED: "Ask the source of conversions about the purchase. Nothing is paid before it confirms it.",
}


def _signature(decision: Decision) -> Signature:
    return Signature(
        user=decision.user, roles=tuple(sorted(decision.roles)), kind=decision.kind, at=decision.decided_at
    )


# The largest part of a claim is its evidence, which lists do not show.
_ENTRIES: Final = statement(
    f"""
SELECT q.referral_id, q.exception, q.subject, q.about, r.late_facts,
       appeal.at AS appealed_at, appeal.by AS appealed_by, appeal.words AS appeal,
       coalesce(its.updated_at, q.since) AS since, q.remind_at, q.escalate_at, r.id,
       coalesce(r.program, q.program) AS program, coalesce(r.status, q.status) AS status, r.reason,
       its.state AS payout_state, its.why AS payout_why, its.key_used_at AS payout_sent_at, its.rail AS payout_rail,
       its.provider_key AS payout_key, its.given_up AS payout_given_up, cycle.due_on AS cycle_due_on,
       cycle.state AS cycle_state, its_case.*, r.referrer,
       r.order_id, r.conversion_at, r.net_minor, r.currency, c.body, q.customer,
       EXISTS (SELECT 1 FROM decision d WHERE d.referral_id = r.id OFFSET 0) AS decided,
       (SELECT coalesce(json_agg(json_build_object('payout', p.id, 'state', p.state, 'why', p.why) ORDER BY p.id), '[]')
        FROM (SELECT DISTINCT payout_id FROM payouts_of(r.id)) AS o
        CROSS JOIN LATERAL (SELECT * FROM payout WHERE id = o.payout_id OFFSET 0) AS p) AS payouts
FROM json_array_elements(CAST(:keys AS json)) WITH ORDINALITY AS wanted(key, number)
CROSS JOIN LATERAL (
    SELECT * FROM queue_entry
    WHERE referral_id = key->>0 AND exception = key->>1 AND subject = key->>2 OFFSET 0
) AS q
LEFT JOIN LATERAL (SELECT * FROM referral WHERE id = q.referral_id OFFSET 0) AS r ON true
LEFT JOIN LATERAL (
    SELECT p.*, {GIVEN_UP} AS given_up FROM payout p
    WHERE q.exception LIKE 'payout%' AND p.id = CAST(q.subject AS uuid) OFFSET 0
) AS its ON true
LEFT JOIN LATERAL (
    SELECT f.occurred_at AS at, f.data->>'by' AS by, p.body->>'why' AS words
    FROM fact f LEFT JOIN personal_data p ON p.subject_id = f.id
    WHERE q.exception = 'appeal' AND f.id = CAST(q.subject AS uuid) OFFSET 0
) AS appeal ON true
LEFT JOIN LATERAL (
    SELECT due_on, state FROM payout_cycle WHERE q.exception = 'cycle' AND id = CAST(q.subject AS uuid) OFFSET 0
) AS cycle ON true
LEFT JOIN LATERAL (
    SELECT k.state AS case_state, k.exchange_order, k.exchange_minor, k.exchange_currency,
           CAST(CASE WHEN l.state = ANY(:was_paid) THEN l.amount_minor ELSE 0 END
                - coalesce((SELECT sum(taken_by(b)) FROM clawback b WHERE b.leg_id = l.id), 0) AS bigint) AS room_minor,
           ARRAY(SELECT b.provider_key FROM clawback b
                 WHERE b.case_id = k.id AND b.state = :in_review ORDER BY b.created_at, b.id) AS in_review
    FROM clawback_case k JOIN leg l ON l.id = k.leg_id
    WHERE q.exception = 'clawback' AND CONCAT(k.leg_id, '/', k.fact_id) = q.subject AND k.referral_id = r.id OFFSET 0
) AS its_case ON true
LEFT JOIN LATERAL (
    SELECT body - ARRAY['evidence', 'checks', 'contributions', 'lines'] AS body
    FROM reward_claim WHERE id = r.claim_id OFFSET 0
) AS c ON true
ORDER BY wanted.number
""",  # noqa: S608 (a constant of ours)
    was_paid=WAS_PAID,
    in_review=ClawbackState.MANUAL_REVIEW,
)
