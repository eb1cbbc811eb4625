"""The user's own account: roles, password, sessions and API tokens."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.people.second_factor import is_fresh, show_again
from referral_rewards.api.desk.people.users import seen_changes
from referral_rewards.api.desk.session.asking import said
from referral_rewards.api.desk.session.beginning import matches, shows_factor
from referral_rewards.api.desk.session.visiting import SentForm, Visit, Visitor, session_token
from referral_rewards.domain.errors import AccountUnconfirmed, BadInput, NotAllowed, RequestInvalid
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.people.account_changes import Confirmer
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.people.second_factor import is_recovery_code
from referral_rewards.register.people import account_changes, factors, passwords, tokens, users
from referral_rewards.register.people import administration as people

router = APIRouter()

#: The lifetimes of a token in days, the default first.
LIFETIMES_DAYS: Final = (90, 7, 30, 365)
_DONE: Final = {
    "password": "Your password was changed. All your other sessions were ended.",
    "sessions": "All your other sessions were ended.",
    "revoked": "The token was revoked.",
    "confirmed": "The changes were confirmed.",
    "contact": "Your email address was saved.",
}


@router.get("/account")
async def account(request: Request, visit: Visitor, parts: Its, done: str = "") -> Response:
    """Show the account page."""
    return await _shown(request, parts, visit, told=_DONE.get(done, ""))


@router.post("/account/password")
async def change_password(request: Request, visit: Visitor, form: SentForm, parts: Its) -> Response:
    """Change the password of a user who knows the current one; the other sessions end."""
    name, fresh = visit.user.name, said(form, "new")
    try:
        if fresh != said(form, "again"):
            raise RequestInvalid("The two new passwords are not the same.")
        passwords.check(fresh, name)
        if not await matches(request, parts, name, said(form, "current")):
            raise RequestInvalid("The current password is wrong.")
    except BadInput as refusal:
        return await _shown(request, parts, visit, problem=refusal.problems[0].what)
    hashed = await passwords.hash_of(fresh)
    now, here = datetime.now(UTC), session_token(request)
    await parts.database.write(people.set_password, name, hashed, by=name, at=now, but=here)
    return _then("password")


@router.post("/account/sessions/end")
async def end_others(request: Request, visit: Visitor, form: SentForm, parts: Its) -> Response:
    """End the user's other sessions."""
    name, here = visit.user.name, session_token(request)
    await parts.database.write(people.end_sessions, name, by=name, at=datetime.now(UTC), but=here)
    return _then("sessions")


@router.post("/account/contact")
async def set_contact(request: Request, visit: Visitor, form: SentForm, parts: Its) -> Response:
    """Store the user's address for messages, or remove it if the field is empty."""
    name, email = visit.user.name, said(form, "contact").strip()
    try:
        await parts.database.write(people.set_contact, name, email or None, by=name, at=datetime.now(UTC))
    except BadInput as refusal:
        return await _shown(request, parts, visit, problem=f"{email}: {refusal.problems[0].what}")
    return _then("contact")


@router.post("/account/confirm")
async def confirm(request: Request, visit: Visitor, form: SentForm, parts: Its) -> Response:
    """Stand behind what an administrator changed of the user's own account, by a second factor older than that."""
    name, now = visit.user.name, datetime.now(UTC)
    try:
        seen, since = seen_changes(form), await _factor_since(request, parts, name, said(form, "one_time_code"))
        confirmer = Confirmer(name, visit.user.marks, since)
        await parts.database.write(account_changes.confirm, name, seen, confirmer, at=now)
    except BadInput as refusal:
        return await _shown(request, parts, visit, problem=refusal.problems[0].what)
    except NotAllowed as refusal:
        return await _shown(request, parts, visit, problem=str(refusal), status=HTTPStatus.FORBIDDEN)
    return _then("confirmed")


@router.post("/account/tokens")
async def issue_token(request: Request, visit: Visitor, form: SentForm, parts: Its) -> Response:
    """Issue a token. Only this response shows it: no page can show it again. One that may decide asks for a code."""
    now = datetime.now(UTC)
    try:
        days = int(said(form, "days")) if said(form, "days").isdecimal() else 0
        if days not in LIFETIMES_DAYS:
            raise RequestInvalid(f"Choose {listed(map(str, LIFETIMES_DAYS), 'or')} days.")
        scopes = _scopes(form)
        if Scope.CLAIMS_DECIDE in scopes:
            await show_again(request, parts, visit, said(form, "one_time_code"))
        _, token = await parts.database.write(
            tokens.issue,
            visit.user,
            label=said(form, "label"),
            scopes=scopes,
            expires_at=now + timedelta(days=days),
            at=now,
        )
    except BadInput as refusal:
        return await _shown(request, parts, visit, problem=refusal.problems[0].what)
    except AccountUnconfirmed as refusal:
        return await _shown(request, parts, visit, problem=str(refusal), status=HTTPStatus.FORBIDDEN)
    return await _shown(request, parts, visit, token=token, status=HTTPStatus.CREATED)


@router.post("/account/tokens/{number}/revoke")
async def revoke_token(number: UUID, visit: Visitor, form: SentForm, parts: Its) -> Response:
    """Revoke one of the user's own tokens."""
    name = visit.user.name
    await parts.database.write(tokens.revoke, number, by=name, at=datetime.now(UTC), only_of=name)
    return _then("revoked")


async def _shown(
    request: Request,
    parts: Parts,
    visit: Visit,
    *,
    told: str = "",
    problem: str = "",
    token: str | None = None,
    status: int = 0,
) -> Response:
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        kept: list[Any] = list(await tokens.of(connection, visit.user.name))
        person = await people.one(connection, visit.user.name)
        contact = await users.contact(connection, visit.user.name)
        changes = await account_changes.unconfirmed(connection, visit.user.name)
    return page(
        "account.html",
        visit,
        status=HTTPStatus(status or (HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK)),
        here="/account",
        told=told,
        problem=problem,
        token=token,
        person=person,
        changes=changes,
        contact=contact or "",
        now=now,
        tokens=[each for each in kept if each.revoked_at is None],
        scopes=sorted(visit.user.scopes),
        lifetimes=LIFETIMES_DAYS,
        is_fresh=await is_fresh(request, parts),
        password_min=passwords.LENGTH_MIN,
    )


async def _factor_since(request: Request, parts: Parts, name: str, code: str) -> datetime | None:
    """Return since when the user has the second factor whose code this is; None if there is none to show.

    A recovery code proves nothing here: whoever is signed in through the change that waits could have had new ones.
    """
    if is_recovery_code(code):
        raise RequestInvalid("Type the code that your app shows; a recovery code does not confirm this.", "code")
    async with parts.database.reading() as connection:
        since = (await factors.of(connection, name)).enrolled_at
    if since is not None and not await shows_factor(request, parts, name, code):
        raise RequestInvalid("This is not the code that your app shows now, or it was used before.", "code")
    return since


def _scopes(form: FormData) -> frozenset[Scope]:
    try:
        return frozenset(Scope(str(each)) for each in form.getlist("scope"))
    except ValueError:
        raise RequestInvalid(f"Choose scopes from {', '.join(sorted(Scope))}.") from None


def _then(done: str) -> Response:
    return RedirectResponse(f"/account?done={done}", HTTPStatus.SEE_OTHER)
