"""Persons: what is kept of one customer or referrer, a copy for them, and erasing it. For administrators.

No address of ours holds a value that a person is found by, and no browser keeps a page about one.
"""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from referral_rewards.api import persons
from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Administrator, SentForm, Visit
from referral_rewards.domain.errors import BadInput, NotFound
from referral_rewards.domain.persons.erasing import waits_for
from referral_rewards.register.persons import erasing
from referral_rewards.register.persons.finding import Known

router = APIRouter(prefix="/persons")

_HERE: Final = "/persons"
#: The entry of the menu under which these pages are found.
_MENU: Final = "/people"


@router.get("")
async def listed(visit: Administrator, parts: Its, done: bool = False) -> Response:
    """The erasings that were asked for, and how to find a person."""
    return await _list(parts, visit, told="Recorded. The list below says where it stands." if done else "")


@router.post("/find")
async def find(visit: Administrator, form: SentForm, parts: Its) -> Response:
    """What is kept of a person, without what was told in clear."""
    try:
        async with parts.database.reading() as connection:
            person = await persons.found(connection, _asked(parts, form))
    except (BadInput, NotFound) as refusal:
        return await _list(parts, visit, problem=_sentence(refusal))
    texts = {"letters": person.letters, "notes": person.notes, "handovers": person.handovers}
    return _unkept(
        page(
            "kept_person.html",
            visit,
            here=_MENU,
            person=person,
            names=[each for each in person.known.names if not persons.is_hash(each)],
            hashes=sum(map(persons.is_hash, person.known.names)),
            typed=_typed(form),
            texts={name: len(its) for name, its in texts.items() if its},
            waits=waits_for(person.affairs),
        )
    )


@router.post("/export")
async def export(visit: Administrator, form: SentForm, parts: Its) -> Response:
    """All that is on record about a person, in clear, as a file. That it was made stands in the audit log."""
    its = await persons.exported(parts, visit.user, _asked(parts, form))
    headers = {"Content-Disposition": 'attachment; filename="person.json"'}
    return _unkept(Response(its.model_dump_json(indent=2), media_type="application/json", headers=headers))


@router.post("/erase")
async def erase(visit: Administrator, form: SentForm, parts: Its) -> Response:
    """Erases a person, or has it wait while something of theirs is open."""
    if not form.get("sure"):
        return await _list(parts, visit, problem="Nothing was erased: tick that it is they who ask.")
    await persons.erased(parts, visit.user, _asked(parts, form))
    return RedirectResponse(f"{_HERE}?done=true", HTTPStatus.SEE_OTHER)


def _asked(parts: Parts, form: FormData) -> Known:
    return persons.known(parts, {field: [value] if value else [] for field, value in _typed(form).items()})


def _typed(form: FormData) -> dict[str, str]:
    """What somebody typed to find the person, by the names of its fields."""
    return {field: str(form.get(field) or "").strip() for field in persons.FIELDS}


async def _list(parts: Parts, visit: Visit, *, told: str = "", problem: str = "") -> Response:
    async with parts.database.reading() as connection:
        erasures = await erasing.listing(connection)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    shown: dict[str, Any] = {"erasures": erasures, "told": told, "problem": problem, "named": persons.is_hash}
    return page("kept_persons.html", visit, status=status, here=_MENU, **shown)


def _sentence(refusal: BadInput | NotFound) -> str:
    """What is wrong, without what was typed."""
    if isinstance(refusal, NotFound):
        return "Nothing is on record about this person."
    return ". ".join(
        f"{problem.where}: {problem.what}" if problem.where else problem.what for problem in refusal.problems
    )


def _unkept(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer
