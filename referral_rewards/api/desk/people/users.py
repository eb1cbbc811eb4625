"""Users (people and services), for administrators: their authority and how they sign in."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Its, Parts, acting
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Administrator, SentForm, Visit
from referral_rewards.api.problems import status_of
from referral_rewards.domain.errors import BadInput, NotAllowed, NotFound, RequestInvalid
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.rights import Rights, rights
from referral_rewards.domain.people.account_changes import Confirmer
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import account_changes, factors, passwords, tokens
from referral_rewards.register.people import administration as people

router = APIRouter(prefix="/people")

_HERE: Final = "/people"
_ROLE: Final = Role.ADMINISTRATOR


@router.get("")
async def everybody(visit: Administrator, parts: Its) -> Response:
    """List the users."""
    return await _list(parts, visit)


@router.post("")
async def add(visit: Administrator, form: SentForm, parts: Its) -> Response:
    """Adds a person or a service, who has no means to sign in yet."""
    name = _said(form, "name")
    try:
        roles, scopes, tells = _chosen(form, "role", Role), _chosen(form, "scope", Scope), _tells(form)
        by, reads = visit.user.name, _words(form, "programs")
        new = partial(people.add, name=name, roles=roles, scopes=scopes, tells=tells, reads=reads, by=by)
        await acting(parts, visit.user, lambda c, at: new(c, at=at), _ROLE)
    except BadInput as refusal:
        return await _list(parts, visit, typed=name, problem=refusal.problems[0].what)
    return RedirectResponse(_address(name), HTTPStatus.SEE_OTHER)


@router.post("/{name:path}/tokens/{number}/revoke")
async def revoke(name: str, number: UUID, visit: Administrator, form: SentForm, parts: Its) -> Response:
    """Revoke any user's token."""
    by, its = visit.user.name, _name(name)
    await acting(parts, visit.user, lambda c, at: tokens.revoke(c, number, by=by, at=at, only_of=its), _ROLE)
    return RedirectResponse(f"{_address(name)}?done=true", HTTPStatus.SEE_OTHER)


@router.post("/{name:path}/confirm")
async def confirm(name: str, visit: Administrator, form: SentForm, parts: Its) -> Response:
    """Stand behind what another administrator changed of a user's account."""
    seen, confirmer = seen_changes(form), Confirmer(visit.user.name, visit.user.marks)
    try:
        await acting(
            parts, visit.user, lambda c, at: account_changes.confirm(c, _name(name), seen, confirmer, at=at), _ROLE
        )
    except (BadInput, NotAllowed) as refusal:
        return await _refused(parts, visit, name, refusal)
    return RedirectResponse(f"{_address(name)}?done=true", HTTPStatus.SEE_OTHER)


@router.post("/{name:path}/{act}")
async def change(name: str, act: str, visit: Administrator, form: SentForm, parts: Its) -> Response:
    """Change a user's authority, or how they sign in."""
    if act not in _ACTS:
        raise NotFound("page", act)
    try:
        change = await _ACTS[act](form, _name(name), parts.intake.marker)
        await acting(parts, visit.user, lambda c, at: change(c, visit.user.name, at), _ROLE)
    except (BadInput, NotAllowed) as refusal:
        return await _refused(parts, visit, name, refusal)
    return RedirectResponse(f"{_address(name)}?done=true", HTTPStatus.SEE_OTHER)


@router.get("/{name:path}")
async def somebody(name: str, visit: Administrator, parts: Its, done: bool = False) -> Response:
    """One of them, with all that can be changed."""
    return await _one(parts, visit, _name(name), told="Saved." if done else "")


Change = Callable[[AsyncConnection, str, datetime], Awaitable[None]]
"""What is done in a transaction, by whom and when."""


async def _roles(form: FormData, name: str, marker: Marker) -> Change:
    roles = _chosen(form, "role", Role)
    return lambda connection, by, at: people.set_roles(connection, name, roles, by=by, at=at)


async def _rights(form: FormData, name: str, marker: Marker) -> Change:
    tells = _tells(form)
    return lambda connection, by, at: people.set_tells(connection, name, tells, by=by, at=at)


async def _programs(form: FormData, name: str, marker: Marker) -> Change:
    programs = _words(form, "programs")
    return lambda connection, by, at: people.set_programs(connection, name, programs, by=by, at=at)


async def _marks(form: FormData, name: str, marker: Marker) -> Change:
    identity = {"customer": _said(form, "customer"), "email": _said(form, "email")}
    marks = marker.marks(identity)
    if not marks and not form.get("forget"):
        raise RequestInvalid("Enter a customer id or an email address.")
    return lambda connection, by, at: people.set_marks(connection, name, marks, by=by, at=at)


async def _contact(form: FormData, name: str, marker: Marker) -> Change:
    email = _said(form, "contact") or None
    return lambda connection, by, at: people.set_contact(connection, name, email, by=by, at=at)


async def _password(form: FormData, name: str, marker: Marker) -> Change:
    typed = form.get("password")
    password = typed if isinstance(typed, str) else ""
    passwords.check(password, name)
    hashed = await passwords.hash_of(password)
    return lambda connection, by, at: people.set_password(connection, name, hashed, by=by, at=at)


async def _no_password(form: FormData, name: str, marker: Marker) -> Change:
    return lambda connection, by, at: people.set_password(connection, name, None, by=by, at=at)


async def _sessions(form: FormData, name: str, marker: Marker) -> Change:
    return lambda connection, by, at: people.end_sessions(connection, name, by=by, at=at)


async def _reset_factor(form: FormData, name: str, marker: Marker) -> Change:
    return lambda connection, by, at: factors.reset(connection, name, by=by, at=at)


async def _link(form: FormData, name: str, marker: Marker) -> Change:
    issuer, subject = _said(form, "issuer"), _said(form, "subject")
    if not issuer or not subject:
        raise RequestInvalid("Enter the issuer URL and the subject.")
    return lambda connection, by, at: people.link(connection, name, issuer=issuer, subject=subject, by=by, at=at)


async def _unlink(form: FormData, name: str, marker: Marker) -> Change:
    return lambda connection, by, at: people.unlink(connection, name, by=by, at=at)


async def _bar(form: FormData, name: str, marker: Marker) -> Change:
    return lambda connection, by, at: people.bar(connection, name, by=by, at=at)


async def _unbar(form: FormData, name: str, marker: Marker) -> Change:
    return lambda connection, by, at: people.unbar(connection, name, by=by, at=at)


#: The forms of a person's page, by the last step of their addresses.
_ACTS: Final[Mapping[str, Callable[[FormData, str, Marker], Awaitable[Change]]]] = {
    "roles": _roles,
    "rights": _rights,
    "programs": _programs,
    "marks": _marks,
    "contact": _contact,
    "password": _password,
    "no-password": _no_password,
    "end-sessions": _sessions,
    "reset-second-factor": _reset_factor,
    "link": _link,
    "unlink": _unlink,
    "bar": _bar,
    "unbar": _unbar,
}


def seen_changes(form: FormData) -> frozenset[UUID]:
    """The changes of an account that a form was shown with.

    Raises:
        RequestInvalid: if a value is no id.
    """
    try:
        return frozenset(UUID(str(each)) for each in form.getlist("change"))
    except ValueError:
        raise RequestInvalid("is not the id of a change", "change") from None


async def _refused(parts: Parts, visit: Visit, name: str, refusal: BadInput | NotAllowed) -> Response:
    told = refusal.problems[0].what if isinstance(refusal, BadInput) else str(refusal)
    return await _one(parts, visit, _name(name), problem=told, status=status_of(type(refusal)))


async def _list(parts: Parts, visit: Visit, *, typed: str = "", problem: str = "") -> Response:
    async with parts.database.reading() as connection:
        rows = await people.listing(connection)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    shown: dict[str, Any] = {"rows": rows, "typed": typed, "problem": problem, "roles": list(Role)}
    return page("people.html", visit, status=status, here=_HERE, scopes=list(Scope), **shown)


async def _one(
    parts: Parts, visit: Visit, name: str, *, told: str = "", problem: str = "", status: int = HTTPStatus.OK
) -> Response:
    async with parts.database.reading() as connection:
        person = await people.one(connection, name)
        kept = [each for each in await tokens.of(connection, name) if each.revoked_at is None]
        changes = await account_changes.unconfirmed(connection, name)
    return page(
        "person.html",
        visit,
        status=HTTPStatus(status),
        here=_HERE,
        person=person,
        tokens=kept,
        changes=changes,
        roles=list(Role),
        told=told,
        problem=problem,
        base=_address(name),
        password_min=passwords.LENGTH_MIN,
        issuer=parts.openid.issuer if parts.openid else "",
        itself=person.name == visit.user.name,
    )


def _name(name: str) -> str:
    """The name in an address. None holds a zero character, which the database can't even be asked for."""
    if "\x00" in name:
        raise NotFound("user", name)
    return name


def _address(name: str) -> str:
    return f"{_HERE}/{quote(name, safe='')}"


def _said(form: FormData, field: str) -> str:
    """What was typed into a field. No text of ours holds a zero character.

    Raises:
        RequestInvalid: if this one does.
    """
    value = form.get(field)
    if not isinstance(value, str):
        return ""
    if "\x00" in value:
        raise RequestInvalid("holds a zero character", field)
    return value.strip()


def _tells(form: FormData) -> Rights:
    """The facts that may be told, as words between spaces or commas."""
    return rights(_words(form, "sources"), _words(form, "types"))


def _words(form: FormData, field: str) -> list[str]:
    """Return what was typed into a field, as words between spaces or commas."""
    return _said(form, field).replace(",", " ").split()


def _chosen(form: FormData, field: str, kind: Any) -> list[Any]:
    try:
        return [kind(str(each)) for each in form.getlist(field)]
    except ValueError:
        raise RequestInvalid(f"Choose a {field} from {', '.join(kind)}.", field) from None
