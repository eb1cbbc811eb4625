"""Enrolment: a customer comes by a link that the company's own system signed, and becomes a referrer."""

from http import HTTPStatus
from typing import Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from referral_rewards.site import facts, rows
from referral_rewards.site.pages import page
from referral_rewards.site.parts import Parts
from referral_rewards.site.rows import Referrer
from referral_rewards.site.rules import people, tokens
from referral_rewards.site.rules.limits import LINKS_OF_AN_ADDRESS, network_of
from referral_rewards.site.rules.links import Link, Objection, objection
from referral_rewards.site.visiting import Form, Its, address_of, hold, sign_in

router = APIRouter(prefix="/enrol")
_log = structlog.get_logger("site")

_REFUSED: Final = {
    Objection.EXPIRED: "This link is no longer valid. Open the page again where you found it.",
    Objection.TOO_LONG: "This link can't be used. Open the page again where you found it.",
    Objection.NO_ID: "This link can't be used. Open the page again where you found it.",
    Objection.FORGED: "This link is incomplete. Open the page again where you found it.",
}
#: So many referrers could have one code by chance only if something is wrong.
_ATTEMPTS_MAX: Final = 10


@router.get("")
async def opened(
    request: Request, parts: Its, program: str = "", customer: str = "", expires: str = "", signature: str = ""
) -> Response:
    """Show what the program promises, with a button to take part; who takes part already goes to their own page."""
    link = _link(program, customer, expires)
    if (refused := await _refused(parts, request, link, signature)) is not None:
        return refused
    known = await parts.store.read(rows.referrer, link.program, link.customer)
    if known is not None:
        return sign_in(RedirectResponse("/me", HTTPStatus.SEE_OTHER), parts, known)
    return await _form(parts, link, signature)


@router.post("")
async def enrol(request: Request, parts: Its, form: Form) -> Response:
    """Enrol the customer of a link, if the CRM or billing system, where one is asked, says that they may."""
    link = _link(form.get("program", ""), form.get("customer", ""), form.get("expires", ""))
    signature = form.get("signature", "")
    if (refused := await _refused(parts, request, link, signature)) is not None:
        return refused
    name = people.first_name(form.get("first_name", ""))
    if name is None:
        return await _form(parts, link, signature, problem="A first name has letters only, at most 40.")
    if not form.get("agreed"):
        return await _form(parts, link, signature, problem="Agree to the rules of the program to take part.")
    if parts.validation is not None:
        valid = await parts.validation.says(link.program, link.customer)
        if valid is not True:
            _log.info("enrolment_refused", program=link.program, known=valid is not None)
            told = "Your account can't take part." if valid is False else "We can't check your account now. Try later."
            return await _form(parts, link, signature, problem=told)
    enrolled = await _enrolled(parts, link, name)
    parts.ring()
    return sign_in(RedirectResponse("/me", HTTPStatus.SEE_OTHER), parts, enrolled)


async def _enrolled(parts: Parts, link: Link, name: str) -> Referrer:
    """Return the referrer of a link, enrolled now or before."""
    now = parts.clock()
    for attempt in range(_ATTEMPTS_MAX):
        code = tokens.code_of(parts.secret, link.program, link.customer, attempt)
        new = Referrer(link.program, link.customer, code, name)
        fact = facts.enrolled(parts.settings.source, new, now)
        if await parts.store.write(rows.enrol, new, fact, now):
            _log.info("referrer_enrolled", program=link.program)
            return new
        known = await parts.store.read(rows.referrer, link.program, link.customer)
        if known is not None:
            return known
    raise RuntimeError("no code was free")


async def _refused(parts: Parts, request: Request, link: Link, signature: str) -> Response | None:
    await hold(parts, LINKS_OF_AN_ADDRESS, network_of(address_of(request)))
    why = objection(parts.settings.link_secret_bytes, link, signature, parts.clock())
    if why is None and link.program not in parts.programs:
        why = Objection.NO_ID
    if why is None:
        return None
    _log.info("link_refused", why=why.value)
    return page("problem.html", None, None, status=HTTPStatus.FORBIDDEN, title="This link", detail=_REFUSED[why])


async def _form(parts: Parts, link: Link, signature: str, problem: str = "") -> Response:
    offer = await parts.product.offer(link.program, parts.clock())
    shown = parts.programs[link.program]
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    said = {"link": link, "signature": signature, "offer": offer, "problem": problem}
    return page("enrol.html", link.program, shown, status=status, **said)


def _link(program: str, customer: str, expires: str) -> Link:
    return Link(program, customer, int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 12 else 0)
