"""Where a friend lands: by a referrer's link, or by the letter of an invitation. There they claim, and agree.

Nobody's address is looked up: the claim goes to the API later, so that the page answers alike whoever claims. What
machines fill in is held up by a field that people don't see, a stamp of the form, and limits.
"""

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from referral_rewards.domain.facts.identity import folded_code
from referral_rewards.site import facts, qr, rows
from referral_rewards.site.pages import page
from referral_rewards.site.parts import Parts
from referral_rewards.site.rows import Invitation, Referrer
from referral_rewards.site.rules import people, tokens
from referral_rewards.site.rules.limits import CLAIMS_OF_A_CODE, CLAIMS_OF_AN_ADDRESS, network_of
from referral_rewards.site.visiting import Form, Its, address_of, hold

router = APIRouter()
_log = structlog.get_logger("site")

#: A field that only machines fill in.
TRAP: Final = "website"


@dataclass(frozen=True, slots=True)
class Door:
    """Where somebody lands: ``path`` is the address of the page, ``of`` whose link or which invitation it is."""

    path: str
    of: Invitation | Referrer
    referrer: Referrer | None

    @property
    def program(self) -> str:
        """The program that is landed in."""
        return self.of.program

    @property
    def who(self) -> str:
        """The first name of the referrer, as a friend sees it; empty for none."""
        return self.referrer.first_name if self.referrer else ""


@router.get("/r/{code}")
async def by_link(code: str, parts: Its) -> Response:
    """Show what a referrer's friend is offered."""
    return await _shown(parts, await _of_code(parts, code))


@router.post("/r/{code}")
async def claim_by_link(code: str, request: Request, parts: Its, form: Form) -> Response:
    """Take a claim by a referrer's link."""
    return await _claim(parts, request, await _of_code(parts, code), form)


@router.get("/r/{code}/code.svg")
async def picture(code: str, parts: Its) -> Response:
    """Draw the address of a referrer's link, to be scanned."""
    door = await _of_code(parts, code)
    return Response(qr.drawn(parts.settings.home_url() + door.path), media_type="image/svg+xml")


@router.get("/r/{code}/claimed")
async def claimed_by_link(code: str, parts: Its) -> Response:
    """Say how it goes on after a claim."""
    return await _thanked(parts, await _of_code(parts, code))


@router.get("/i/{number}")
async def invited(number: str, parts: Its) -> Response:
    """Show an invitation."""
    return await _shown(parts, await _of_invitation(parts, number))


@router.post("/i/{number}")
async def claim_invitation(number: str, request: Request, parts: Its, form: Form) -> Response:
    """Take the claim of an invitation."""
    return await _claim(parts, request, await _of_invitation(parts, number), form)


@router.get("/i/{number}/claimed")
async def claimed_invitation(number: str, parts: Its) -> Response:
    """Say how it goes on after a claim."""
    return await _thanked(parts, await _of_invitation(parts, number))


@router.get("/i/{number}/stop")
async def stopping(number: str, parts: Its) -> Response:
    """Ask whether to write no more: a mail scanner that follows the link unsubscribes nobody."""
    door = await _of_invitation(parts, number)
    return page("stop.html", door.program, parts.programs[door.program], door=door, done=False)


@router.post("/i/{number}/stop")
async def stop(number: str, parts: Its) -> Response:
    """Write no more invitations to the person of this one. A mail program may post it at one click (RFC 8058)."""
    door = await _of_invitation(parts, number)
    assert isinstance(door.of, Invitation)
    await parts.store.write(rows.suppress, door.of.mark, "asked", parts.clock())
    _log.info("invitations_stopped", program=door.program)
    return page("stop.html", door.program, parts.programs[door.program], door=door, done=True)


async def _claim(parts: Parts, request: Request, door: Door, form: Form) -> Response:
    address = address_of(request)
    await hold(parts, CLAIMS_OF_AN_ADDRESS, network_of(address))
    stamped, typed = form.get("stamp", ""), form.get("email", "")
    if (problem := _problem(parts, door, form, stamped)) is not None:
        return await _shown(parts, door, typed=typed, problem=problem)
    email = people.address_of(typed)
    assert email is not None
    await hold(parts, CLAIMS_OF_A_CODE, door.path)
    now = parts.clock()
    fact = facts.claimed(parts.settings.source, tokens.id_of_form(stamped), door.of, email, address, now)
    await parts.store.write(rows.tell, fact, now)
    _log.info("claim_taken", program=door.program, channel="email" if isinstance(door.of, Invitation) else "link")
    parts.ring()
    return RedirectResponse(f"{door.path}/claimed", HTTPStatus.SEE_OTHER)


def _problem(parts: Parts, door: Door, form: Form, stamped: str) -> str | None:
    """Return what keeps a claim from being taken, in words for a person; None if nothing does."""
    age = tokens.age_of_stamp(parts.secret, _form_of(door), stamped, parts.clock())
    if age is None:
        return "The page was open for too long. Send it once more."
    if form.get(TRAP):
        return "Leave the last field empty, and send it once more."
    if age.total_seconds() < parts.settings.form_seconds_min:
        return "That was quick. Send it once more."
    if people.address_of(form.get("email", "")) is None:
        return "Enter your email address."
    return None if form.get("consent") else "We need your consent to take the invitation."


async def _shown(parts: Parts, door: Door, *, typed: str = "", problem: str = "") -> Response:
    now = parts.clock()
    return page(
        "landing.html",
        door.program,
        parts.programs[door.program],
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        door=door,
        offer=await parts.product.offer(door.program, now),
        stamp=tokens.stamp(parts.secret, _form_of(door), now, secrets.token_hex(8)),
        trap=TRAP,
        typed=typed,
        problem=problem,
    )


async def _thanked(parts: Parts, door: Door) -> Response:
    offer = await parts.product.offer(door.program, parts.clock())
    return page("claimed.html", door.program, parts.programs[door.program], door=door, offer=offer)


async def _of_code(parts: Parts, code: str) -> Door:
    """Return the door of a code, as people type codes.

    Raises:
        HTTPException: if it is nobody's.
    """
    folded = folded_code(code[:100]).upper()
    referrer = await parts.store.read(rows.referrer_of_code, folded)
    if referrer is None or referrer.program not in parts.programs:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Door(f"/r/{referrer.code}", referrer, referrer)


async def _of_invitation(parts: Parts, number: str) -> Door:
    """Return the door of an invitation.

    Raises:
        HTTPException: if there is none, or it was forgotten.
    """
    found = await parts.store.read(rows.invitation, number[:100])
    if found is None or found.program not in parts.programs:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Door(f"/i/{found.id}", found, await parts.store.read(rows.referrer, found.program, found.customer))


def _form_of(door: Door) -> str:
    return f"claim {door.path}"
