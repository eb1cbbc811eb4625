"""The referral pages, which answer "where is my reward?", for users with any role."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from markupsafe import Markup

from referral_rewards.api.dependencies import Its, Reading
from referral_rewards.api.desk.claims import run_of
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts import identity
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.notices import status_links
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.referrals.everything import FactShown, showing
from referral_rewards.reporting.referrals.search import Search, search
from referral_rewards.reporting.referrals.timeline import timeline
from referral_rewards.reporting.referrals.timeline_picture import picture

router = APIRouter()

_HERE = "/referrals"
_Words = Annotated[str, Query(max_length=200)]


@router.get("/referrals")
async def list_referrals(
    visit: Reader, connection: Reading, q: _Words = "", status: _Words = "", program: _Words = "", after: _Words = ""
) -> Response:
    """Referrals by their ids, or those that a referrer, a customer or an order is part of."""
    given = (q, status, program, after)
    wanted = Search(*(each.replace("\0", "").strip() for each in given))
    found, following = await search(connection, wanted)
    return page(
        "referrals.html",
        visit,
        here=_HERE,
        found=found,
        following=following,
        wanted=wanted,
        statuses=list(ReferralStatus),
    )


@router.get("/referrals/{referral:path}")
async def show_referral(referral: str, visit: Reader, connection: Reading, parts: Its) -> Response:
    """One referral: status, reason and next deadline in words, and everything on record about it."""
    shown = await showing(connection, referral, parts.keys)
    drawn = timeline(shown, datetime.now(UTC))
    row = await referrals.row(connection, referral)
    key = parts.intake.key_for(status_links.PURPOSE)
    return page(
        "referral.html",
        visit,
        here=_HERE,
        shown=shown,
        timeline=drawn,
        picture=Markup(picture(drawn)) if drawn else None,  # noqa: S704 (every text in it is escaped)
        zone=drawn.zone if drawn else "UTC",
        run=run_of(parts, referral),
        links={side: status_links.path(key, row, side) for side in Side},
        facts=[(fact, _reference(fact)) for fact in shown.facts],
    )


def _reference(fact: FactShown) -> str:
    """A fact's id at its source; our own for one in which the source seems to have put an address."""
    return fact.event_id if identity.id_problem(fact.event_id) is None else str(fact.fact)
