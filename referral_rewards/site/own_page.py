"""The referrer's own page: their link and code, inviting a friend, and where each referral stands."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import uuid4

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response

from referral_rewards.domain.facts.identity import normal_email
from referral_rewards.domain.money import display
from referral_rewards.site import rows
from referral_rewards.site.pages import page
from referral_rewards.site.parts import Parts
from referral_rewards.site.product import Silent, Standing, Standings
from referral_rewards.site.rows import Invitation, InvitationState
from referral_rewards.site.rules import people, tokens
from referral_rewards.site.visiting import Its, OwnForm, Visit, Visiting, sign_out

router = APIRouter(prefix="/me")

_INVITATIONS_SHOWN: Final = 200
#: What a form did, and what the page says then. Whoever is invited, it says the same.
_DONE: Final = {
    "invited": "Thank you. We write to your friend, unless they asked us not to.",
    "named": "Your friends see your new first name.",
}
_STATES: Final = {
    InvitationState.WAITING: "waits to be sent",
    InvitationState.SENT: "sent; not accepted yet",
    InvitationState.NOT_SENT: "could not be delivered",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A referral as its referrer sees it; ``friend`` is a mask of the address, or how they came."""

    friend: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class Earned:
    """What was paid and what is approved and on its way, in one currency, in words."""

    paid: str
    coming: str


@router.get("")
async def own(visit: Visiting, parts: Its, done: str = "", after: str | None = Query(None, max_length=200)) -> Response:
    """Show the page."""
    return await _shown(parts, visit, told=_DONE.get(done, ""), after=after)


@router.post("/invitations")
async def invite(visit: Visiting, parts: Its, form: OwnForm) -> Response:
    """Have a friend invited. Whether we know the address changes neither the answer nor how long it takes."""
    email, name = people.address_of(form.get("email", "")), people.first_name(form.get("name", ""))
    if email is None:
        return await _shown(parts, visit, problem="This is no email address.")
    if name is None:
        return await _shown(parts, visit, problem="A first name has letters only, at most 40.")
    invitation = Invitation(
        id=f"inv-{uuid4().hex}",
        program=visit.referrer.program,
        customer=visit.referrer.customer,
        mark=tokens.keyed(parts.secret, "address", normal_email(email)),
        mask=people.masked(email),
        email=email,
        name=name or None,
        state=InvitationState.WAITING,
        asked_at=parts.clock(),
        tries=0,
    )
    most = parts.settings.invitations_a_day
    if not await parts.store.write(rows.invite, invitation, most):
        told = f"You can invite {most} friends a day. Share your link, or invite them tomorrow."
        return await _shown(parts, visit, problem=told, status=HTTPStatus.TOO_MANY_REQUESTS)
    parts.ring()
    return RedirectResponse("/me?done=invited", HTTPStatus.SEE_OTHER)


@router.post("/name")
async def rename(visit: Visiting, parts: Its, form: OwnForm) -> Response:
    """Show friends another first name, or none."""
    name = people.first_name(form.get("first_name", ""))
    if name is None:
        return await _shown(parts, visit, problem="A first name has letters only, at most 40.")
    await parts.store.write(rows.rename, visit.referrer.program, visit.referrer.customer, name)
    return RedirectResponse("/me?done=named", HTTPStatus.SEE_OTHER)


@router.post("/sign-out")
async def leave(visit: Visiting, parts: Its, form: OwnForm) -> Response:
    """End the session in this browser."""
    detail = "Open the page again from your account when you want to come back."
    left = page("problem.html", visit.referrer.program, visit.program, title="Signed out", detail=detail)
    return sign_out(left, parts)


async def _shown(
    parts: Parts,
    visit: Visit,
    *,
    told: str = "",
    problem: str = "",
    after: str | None = None,
    status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> Response:
    whose = visit.referrer
    found = await _standings(parts, visit, after)
    its = await parts.store.read(rows.invitations_of, whose.program, whose.customer, _INVITATIONS_SHOWN)
    friends = {each.id: each.mask for each in its}
    standings = found.standings if found else ()
    known = {each.referral for each in standings}
    return page(
        "own.html",
        whose.program,
        visit.program,
        status=status if problem else HTTPStatus.OK,
        visit=visit,
        link=f"{parts.settings.home_url()}/r/{whose.code}",
        code=tokens.shown_code(whose.code),
        offer=await parts.product.offer(whose.program, parts.clock()),
        referrals=[Shown(friends.get(each.referral, _came(each)), each) for each in standings],
        waiting=[
            (each.mask, _STATES[each.state]) for each in its if each.id not in known and _fits(each, found, after)
        ],
        earned=_earned(standings),
        silent=found is None,
        following=found.next if found else None,
        later=after is not None,
        told=told,
        problem=problem,
    )


def _fits(invitation: Invitation, found: Standings | None, after: str | None) -> bool:
    """Return whether an invitation without a standing is shown: on the first page, and one that was sent only where no
    later page could tell where it stands."""
    if after is not None:
        return False
    return invitation.state is not InvitationState.SENT or found is None or found.next is None


async def _standings(parts: Parts, visit: Visit, after: str | None) -> Standings | None:
    try:
        return await parts.product.standings(visit.referrer.program, visit.referrer.customer, after)
    except Silent:
        return None


def _came(standing: Standing) -> str:
    return "A friend, by your link" if standing.channel == "link" else "A friend"


def _earned(standings: Sequence[Standing]) -> Sequence[Earned]:
    """Return what these referrals brought, currency by currency."""
    paid, coming = defaultdict[str, int](int), defaultdict[str, int](int)
    for reward in (reward for each in standings for reward in each.rewards):
        paid[reward.currency] += reward.paid_minor
        coming[reward.currency] += reward.owed_minor
    return [Earned(*_in_words(paid, coming, each)) for each in sorted(paid)]


def _in_words(paid: Mapping[str, int], coming: Mapping[str, int], currency: str) -> tuple[str, str]:
    return display(paid[currency], currency), display(coming[currency], currency) if coming[currency] else ""
