"""A referrer's or referee's status page, opened by a secret link without signing in, with appeals and ratings."""

import secrets
from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import form_of
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import BadInput, Refused
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.notices import status_links, status_page, surveys
from referral_rewards.register.notices.status_links import NoSuchLink
from referral_rewards.register.payouts import handovers
from referral_rewards.register.referrals.cases import open_case
from referral_rewards.reporting.referrals.everything import showing
from referral_rewards.reporting.referrals.own_status import own_status

router = APIRouter(prefix="/status")


@router.get("/{token}")
async def status(token: str, parts: Its, done: str = "") -> Response:
    """Show the status of the person's referral, the reason, and what comes next."""
    async with parts.database.reading() as connection:
        return await _shown(connection, parts, token, done=done if done in ("appeal", "rating") else "")


@router.post("/{token}/appeal")
async def appeal(token: str, request: Request, parts: Its) -> Response:
    """Record an appeal against a closing: a person reviews it."""
    form = await form_of(request)
    why, name = _said(form, "why"), _said(form, "form")
    try:
        await parts.database.write(_appeal, parts, token, why=why, form=name, now=datetime.now(UTC))
    except (BadInput, Refused) as refusal:
        async with parts.database.reading() as connection:
            return await _shown(connection, parts, token, problem=_words(refusal), why=why)
    return RedirectResponse(f"/status/{token}?done=appeal", HTTPStatus.SEE_OTHER)


@router.post("/{token}/rating")
async def rating(token: str, request: Request, parts: Its) -> Response:
    """Record how satisfied the person is, after a reward or a denial."""
    score = _said(await form_of(request), "score")
    try:
        await parts.database.write(_rate, parts, token, score=score, now=datetime.now(UTC))
    except (BadInput, Refused) as refusal:
        async with parts.database.reading() as connection:
            return await _shown(connection, parts, token, problem=_words(refusal))
    return RedirectResponse(f"/status/{token}?done=rating", HTTPStatus.SEE_OTHER)


async def _appeal(connection: AsyncConnection, parts: Parts, token: str, *, why: str, form: str, now: datetime) -> None:
    row, side = await _opened(connection, parts, token)
    await status_page.appeal(connection, parts.intake, row, side, why=why, form=form, now=now)


async def _rate(connection: AsyncConnection, parts: Parts, token: str, *, score: str, now: datetime) -> None:
    row, side = await _opened(connection, parts, token)
    await status_page.rate(connection, parts.intake, row, side, score=score, now=now)


async def _opened(connection: AsyncConnection, parts: Parts, token: str) -> tuple[Referral, Side]:
    return await status_links.opened(connection, parts.link_keys, token)


async def _shown(
    connection: AsyncConnection, parts: Parts, token: str, *, done: str = "", problem: str = "", why: str = ""
) -> HTMLResponse:
    row, side = await status_links.opened(connection, parts.link_keys, token)
    case = await open_case(connection, row, datetime.now(UTC), parts.keys)
    if case is None:
        raise NoSuchLink
    handed = await handovers.of_side(connection, row.id, side)
    own = own_status(await showing(connection, row.id, parts.keys), side, handed)
    answer = page(
        "status.html",
        None,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        own=own,
        token=token,
        side=side.value,
        program=case.terms.name,
        zone=case.terms.timezone,
        referral=row.id,
        # A form that is sent twice has the same id, so its appeal is one fact.
        form=secrets.token_hex(16),
        may_appeal=row.status in status_page.APPEALABLE and row.closed_at is not None,
        may_rate=row.status in status_page.RATEABLE and not await surveys.answered(connection, row.id, side),
        words_max=status_page.WORDS_MAX,
        done=done,
        problem=problem,
        why=why,
    )
    answer.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return answer


def _said(form: FormData, field: str) -> str:
    value = form.get(field)
    return value if isinstance(value, str) else ""


def _words(refusal: BadInput | Refused) -> str:
    return "; ".join(each.what for each in refusal.problems) if isinstance(refusal, BadInput) else str(refusal)
