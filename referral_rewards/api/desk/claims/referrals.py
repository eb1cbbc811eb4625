"""The referral pages, which answer "where is my reward?", for users with any role."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from markupsafe import Markup

from referral_rewards.api.dependencies import Its, Reading
from referral_rewards.api.desk.claims.claim import run_of
from referral_rewards.api.desk.listing import Chosen, Typed, show
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.desk.words import first_upper, words_in
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts import ids
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.notices import status_links
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.lists.referrals import LISTING, REFERRALS, Wanted
from referral_rewards.reporting.referrals.everything import FactShown, showing
from referral_rewards.reporting.referrals.timeline import timeline
from referral_rewards.reporting.referrals.timeline_picture import picture

router = APIRouter()

_HERE = "/referrals"


@router.get("/referrals")
async def list_referrals(
    visit: Reader, parts: Its, choice: Chosen, q: Typed = "", status: Typed = "", program: Typed = ""
) -> Response:
    """Referrals by id or by when they began, or those that a referrer, a customer or an order is part of."""
    typed = words_in(q=q, status=status, program=program)
    wanted = partial(
        Wanted,
        q=typed["q"] or None,
        program=typed["program"] or None,
        status=ReferralStatus(typed["status"]) if typed["status"] in set(ReferralStatus) else None,
    )
    return await show(
        parts,
        visit,
        "referrals.html",
        REFERRALS,
        choice,
        typed,
        wanted,
        LISTING.orders,
        here=_HERE,
        statuses=list(ReferralStatus),
    )


@router.get("/referrals/{referral:path}")
async def show_referral(referral: str, visit: Reader, connection: Reading, parts: Its) -> Response:
    """One referral: status, reason and next deadline in words, and everything on record about it."""
    shown = await showing(connection, referral, parts.keys)
    drawn = timeline(shown, datetime.now(UTC))
    row = await referrals.row(connection, referral)
    assert row is not None  # it was shown in the same transaction
    key, *_ = parts.link_keys
    return page(
        "referral.html",
        visit,
        here=_HERE,
        shown=shown,
        timeline=drawn,
        picture=Markup(picture(drawn)) if drawn else None,  # noqa: S704 (every text in it is escaped)
        zone=drawn.zone if drawn else None,
        run=run_of(parts, referral),
        links={side: status_links.path(key, row, side) for side in Side},
        facts=[(fact, _reference(fact), list(_details(fact))) for fact in shown.facts],
    )


def _details(fact: FactShown) -> Iterator[tuple[str, str]]:
    """What a fact says beside its type and its referral, in words. A person is named by their own fields."""
    for name, value in fact.data.items():
        if isinstance(value, dict):
            yield from ((_title(inner), str(said)) for inner, said in value.items())
        elif name != "referral" and value is not None:
            yield _title(name), _said(name, value)


def _title(name: str) -> str:
    return first_upper(label("field", name))


def _said(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    vocabulary = _VOCABULARIES.get(name)
    return label(vocabulary, value) if vocabulary else str(value)


#: Fields of facts whose values are codes of ours; what outsiders name (a kind of conversion) is shown as they wrote it.
_VOCABULARIES: Final = {"channel": "channel", "rail": "rail", "kind": "reversal", "scope": "consent"}


def _reference(fact: FactShown) -> str:
    """A fact's id at its source; our own for one in which the source seems to have put an address."""
    return fact.event_id if ids.id_problem(fact.event_id) is None else str(fact.fact)
