"""The entries of the approvers' queue, in the form in which they are displayed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.clawbacks.states import ClawbackState
from referral_rewards.domain.decisions.redirect_advice import besides
from referral_rewards.domain.decisions.redirect_advice import to_do as advice_on_method
from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.payouts.states import WAS_PAID
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import dump
from referral_rewards.register.payees import subject
from referral_rewards.register.payouts.endings import GIVEN_UP
from referral_rewards.reporting.queue.filters import PAGE_MAX, Filters
from referral_rewards.reporting.queue.matters import matter
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


class Redirect(Shape):
    """The payee and the rail of a redirect, as `GET /v1/redirects` takes them."""

    payee: str
    rail: str


class Entry(Shape):
    """An entry of the queue: one thing that waits for a person."""

    referral: str | None = Field(
        description="Null for a payout cycle, a rail and a forgotten payment; the first one if a payout pays several."
    )
    program: str | None
    exception: Waits
    subject: str = Field(
        description="The id of the leg, payout, fact, cycle or forgotten payment, or the rail; else empty."
    )
    redirect: Redirect | None = Field(description="What a redirect binds, where the payee's payment method is another.")
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
    release, halted rails, forgotten payments, and reported conversions that no source has confirmed. ``signed`` names
    only users whose signature ``keys`` verifies.

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
    pairs = sorted({(row.payee, row.payee_rail) for row in rows if row.exception in _ABOUT_A_METHOD})
    payees = {(each.payee, each.rail): each for each in await subject.in_brief(connection, pairs, now, keys)}
    return [_entry(row, made.get(row.id, []), payees.get((row.payee, row.payee_rail)), now) for row in rows]


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


def _entry(row: Any, made: list[Decision], payee: PayeeSubject | None, now: datetime) -> Entry:
    body: dict[str, Any] = row.body or {}
    about, to_do = matter(row, now)
    moved = payee is not None and _waits_for_a_redirect(row.exception, row.subject, payee)
    if payee is not None and moved:
        to_do = " ".join(filter(None, (to_do, besides(payee) if to_do else advice_on_method(payee))))
    return Entry(
        referral=row.referral_id or None,
        program=row.program or None,
        exception=row.exception,
        subject=row.subject,
        redirect=Redirect(payee=payee.payee, rail=payee.rail) if payee is not None and moved else None,
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


def _waits_for_a_redirect(exception: str, number: str, payee: PayeeSubject) -> bool:
    """Whether the reward, or the payout, is to be paid to another destination than the payee has now."""
    if exception == Waits.WAITING_METHOD:
        return True
    return payee.destination is not None and number in {str(each.id) for each in payee.payouts}


#: What may wait for a redirect.
_ABOUT_A_METHOD: Final = frozenset({Waits.WAITING_METHOD, Waits.PAYOUT_REFUSED, Waits.PAYOUT_RETURNED})


def _approval(row: Any, body: dict[str, Any], made: list[Decision]) -> Approval:
    requirement = body.get("requirement") or {"routes": (), "people": 0}
    return Approval(
        digest=body.get("digest"),
        needs=requirement["routes"],
        people=requirement["people"],
        signed=tuple(_signature(each) for each in made if body and each.digest == body["digest"]),
        since=row.since,
    )


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
       cycle.state AS cycle_state, cycle.carried AS cycle_carried, coalesce(its.payee, waiting.beneficiary) AS payee,
       coalesce(its.rail, waiting.rail) AS payee_rail, its_case.*, forgotten.*, r.referrer,
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
    SELECT beneficiary, rail FROM leg WHERE q.exception = :waiting_method AND id = CAST(q.subject AS uuid) OFFSET 0
) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT f.occurred_at AS at, f.data->>'by' AS by, p.body->>'why' AS words
    FROM fact f LEFT JOIN personal_data p ON p.subject_id = f.id
    WHERE q.exception = 'appeal' AND f.id = CAST(q.subject AS uuid) OFFSET 0
) AS appeal ON true
LEFT JOIN LATERAL (
    SELECT rail AS forgotten_rail, reference AS forgotten_reference, payee AS forgotten_payee,
           amount_minor AS forgotten_minor, currency AS forgotten_currency
    FROM forgotten_payment WHERE q.exception = :forgotten_payment AND id = CAST(q.subject AS uuid) OFFSET 0
) AS forgotten ON true
LEFT JOIN LATERAL (
    SELECT due_on, state, summary->'carried' AS carried
    FROM payout_cycle WHERE q.exception = 'cycle' AND id = CAST(q.subject AS uuid) OFFSET 0
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
    waiting_method=Waits.WAITING_METHOD,
    forgotten_payment=Waits.FORGOTTEN_PAYMENT,
)
