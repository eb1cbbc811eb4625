"""The page of a redirect: what waits for a payee on a rail, both destinations, what is still missing, and the form."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.money import one_act
from referral_rewards.api.desk.money.acts import Said, Typed
from referral_rewards.api.desk.money.one_act import OneAct
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper, SentForm, Visit
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.errors import NotFound, RequestInvalid, none_of
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.register.payees import subject
from referral_rewards.reporting.payees.redirects import of

router = APIRouter()

_PATH: Final = "/redirects"
_Named = Annotated[str, Query(max_length=500, pattern=TEXT)]


@router.get(_PATH)
async def show_redirect(
    payee: _Named, rail: _Named, visit: Bookkeeper, parts: Its, recorded: int | None = None
) -> Response:
    """What a redirect would sign; ``recorded`` is the number of the decision that was just made."""
    return _page(visit, await _found(parts, payee, rail), Typed(), Said(recorded=recorded))


@router.post(_PATH)
async def redirect(payee: _Named, rail: _Named, visit: Bookkeeper, form: SentForm, parts: Its) -> Response:
    """The redirect, in two steps."""
    found = await _found(parts, payee, rail)

    async def shown(typed: Typed, said: Said) -> Response:
        return _page(visit, found, typed, said)

    return await one_act.decide(parts, visit, form, _act(found), found, shown)


async def _found(parts: Parts, payee: str, rail: str) -> PayeeSubject:
    if rail not in CATALOGUE:
        raise RequestInvalid(none_of(rail, CATALOGUE), "rail")
    async with parts.database.reading() as connection:
        found = await subject.shown(connection, payee, rail, datetime.now(UTC), parts.keys)
    if not (found.methods.told or found.waiting):
        raise NotFound("payee", payee)
    return found


def _page(visit: Visit, found: PayeeSubject, typed: Typed, said: Said) -> Response:
    its = _act(found)
    return page(
        "redirect.html",
        visit,
        status=said.status,
        here="/payees",
        shown=of(found),
        now=found.now,
        form=one_act.form_of(visit, its, found, typed, said),
    )


def _act(found: PayeeSubject) -> OneAct:
    about = f"all that waits for {found.payee} ({label('rail', found.rail)}), to {found.destination}"
    return OneAct(MoneyAct.REDIRECT_PAYEE, _PATH, found.payee, about, rail=found.rail)
