"""Show what waits for a payee on a rail, where it would be paid, and what a redirect still needs."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.errors import NotFound
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import subject
from referral_rewards.reporting.shape import GivenId, Instant, Shape


class WaitingForMethod(Shape):
    """A reward that waits; ``payout`` is the one that was refused or came back, null if none is planned."""

    leg: UUID
    referral: GivenId
    amount_minor: int
    currency: str
    payout: UUID | None
    paid_to_before: str | None


class RedirectShown(Shape):
    """Everything that a redirect of a payee's rewards on a rail would sign, and why nobody may now (``refusal``).

    ``destination`` is the payee's present one, by what ``source`` said at ``set_at``, and ``former`` are all others
    that were ever told. ``people`` is how many of finance must sign, ``signed_by`` who did. A destination that takes
    the place of another may be signed from ``may_sign_from`` on: a day after the payee was told of it.
    """

    payee: GivenId
    rail: str
    destination: str | None
    set_at: Instant | None
    source: str | None
    former: tuple[str, ...]
    people: int
    signed_by: tuple[str, ...]
    told_at: Instant | None
    may_sign_from: Instant | None
    waiting: tuple[WaitingForMethod, ...]
    refusal: str | None
    rule: str | None
    digest: str


async def redirect(connection: AsyncConnection, payee: str, rail: str, now: datetime, keys: KeyRing) -> RedirectShown:
    """Return what a redirect would sign.

    Raises:
        NotFound: if the payee named no method and nothing of theirs waits.
    """
    found = await subject.shown(connection, payee, rail, now, keys)
    if not (found.methods.told or found.waiting):
        raise NotFound("payee", payee)
    return of(found)


def of(found: PayeeSubject) -> RedirectShown:
    """Return the subject of a redirect as it is shown."""
    method, refused = found.methods.on(found.rail, found.now), found.refusal()
    return RedirectShown(
        payee=found.payee,
        rail=found.rail,
        destination=found.destination,
        set_at=method.occurred_at if method is not None else None,
        source=method.source if method is not None else None,
        former=found.methods.besides(found.rail, found.destination),
        people=found.people,
        signed_by=found.signed_by,
        told_at=found.told_at,
        may_sign_from=found.may_sign_from if found.people > 1 else None,
        waiting=_waiting(found),
        refusal=refused[1] if refused is not None else None,
        rule=refused[0] if refused is not None else None,
        digest=found.digest,
    )


def _waiting(found: PayeeSubject) -> tuple[WaitingForMethod, ...]:
    planned = [(leg, payout.id, payout.destination) for payout in found.payouts for leg in payout.legs]
    return tuple(
        WaitingForMethod(
            leg=leg.id,
            referral=leg.referral,
            amount_minor=leg.amount_minor,
            currency=leg.currency,
            payout=payout,
            paid_to_before=before,
        )
        for leg, payout, before in (*((leg, None, None) for leg in found.legs), *planned)
    )
