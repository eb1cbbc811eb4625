"""The entries of the approvers' queue, in the form in which they are displayed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.redirect_advice import instead
from referral_rewards.domain.decisions.redirect_advice import to_do as advice_on_method
from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.decisions.setting_aside import can_be_set_aside
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.payouts.destinations import needs_method
from referral_rewards.domain.referrals.lifecycle import CLOSED
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import subject
from referral_rewards.reporting.queue.conditions import Asking
from referral_rewards.reporting.queue.filters import PAGE_MAX, Filters
from referral_rewards.reporting.queue.matters import matter
from referral_rewards.reporting.queue.rows import EntryRow, rows_of
from referral_rewards.reporting.queue.search import search
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
        description="Null for what belongs to none: a payout cycle, a rail, a forgotten payment, or facts that wait. "
        "The first one if a payout pays several."
    )
    program: str | None
    exception: Waits
    subject: str = Field(
        description="The id of the leg, payout, fact, cycle or forgotten payment, the rail, or what facts wait for: a "
        "program or a code. Else empty."
    )
    redirect: Redirect | None = Field(description="What a redirect binds, where the payee's payment method is another.")
    about: str | None
    to_do: str | None = Field(description="What a person must do, if not decide on the claim.")
    seen: int | None = Field(
        description="How much is told of it now, to send with `POST /v1/queue/set-aside`; null if a decision ends it."
    )
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

    ``signed`` names only users whose signature ``keys`` verifies.

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
    rows = await rows_of(connection, wanted)
    made = await decisions.on_referrals(connection, {row.referral_id for row in rows if row.decided}, keys)
    pairs = {
        (row.payee, row.payee_rail)
        for row in rows
        if row.exception in _ABOUT_A_METHOD and row.payee is not None and row.payee_rail is not None
    }
    payees: dict[tuple[str | None, str | None], PayeeSubject] = {
        (each.payee, each.rail): each for each in await subject.in_brief(connection, sorted(pairs), now, keys)
    }
    return [_entry(row, made.get(row.referral_id, []), payees.get((row.payee, row.payee_rail)), now) for row in rows]


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


def _entry(row: EntryRow, made: list[Decision], payee: PayeeSubject | None, now: datetime) -> Entry:
    body = row.body or {}
    about, to_do = matter(row, now)
    moved = payee is not None and _waits_for_a_redirect(row.exception, row.subject, payee)
    if payee is not None and moved:
        to_do = advice_on_method(payee) if row.payout_state is None else instead(payee, row.payout_state)
    return Entry(
        referral=row.referral_id or None,
        program=row.program or None,
        exception=row.exception,
        subject=row.subject,
        redirect=Redirect(payee=payee.payee, rail=payee.rail) if moved and payee and payee.destination else None,
        about=about,
        to_do=to_do,
        seen=_seen(row),
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
        payment=tuple(Payment(**each) for each in row.payouts),
    )


def _seen(row: EntryRow) -> int | None:
    """How much is told of what can be set aside; None if it can't be."""
    if not can_be_set_aside(row.exception, closed=row.status in CLOSED):
        return None
    return row.strays if row.facts_version is None else row.facts_version


def _waits_for_a_redirect(exception: str, number: str, payee: PayeeSubject) -> bool:
    """Whether the reward, or the payout, is to be paid to another destination than the payee has now."""
    if exception == Waits.WAITING_METHOD:
        return True
    return needs_method(payee.rail) and number in {str(each.id) for each in payee.payouts}


#: What may wait for a redirect.
_ABOUT_A_METHOD: Final = frozenset({Waits.WAITING_METHOD, Waits.PAYOUT_REFUSED, Waits.PAYOUT_RETURNED})


def _approval(row: EntryRow, body: Mapping[str, Any], made: list[Decision]) -> Approval:
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
