"""The page on which somebody sets an exception of the queue aside."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.setting_aside import set_aside
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX
from referral_rewards.domain.decisions.setting_aside import SettingAside, check_person
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import BadInput, NotFound
from referral_rewards.reporting.queue.entries import Entry, entries

router = APIRouter()

_HERE: Final = "/queue"


class Asked(BaseModel):
    """An entry by its key, as a link of the queue names it."""

    model_config = ConfigDict(frozen=True)

    exception: Waits
    referral: Annotated[str, Field(pattern=TEXT)] = ""
    subject: Annotated[str, Field(pattern=TEXT)] = ""


@router.get("/queue/set-aside")
async def show(visit: Reader, parts: Its, asked: Annotated[Asked, Query()]) -> Response:
    """What it is about, what could be done instead, and the form."""
    check_person(visit.user.roles)
    return await _shown(visit, parts, asked)


@router.post("/queue/set-aside")
async def record(visit: Reader, form: SentForm, parts: Its) -> Response:
    """Records it and returns to the queue; without a note the page says what is missing."""
    given = {name: str(form.get(name) or "").replace("\0", "") for name in ("exception", "referral", "subject", "seen")}
    note = str(form.get("note") or "").replace("\r\n", "\n").replace("\0", "")
    if given["exception"] not in set(Waits) or not (given["seen"].isdecimal() and len(given["seen"]) < 10):
        raise NotFound("queue entry", given["exception"])
    asked = Asked(exception=Waits(given["exception"]), referral=given["referral"], subject=given["subject"])
    wanted = SettingAside(asked.exception, asked.referral, asked.subject, int(given["seen"]), note)
    try:
        await set_aside(parts, visit.user, wanted)
    except BadInput as error:
        return await _shown(visit, parts, asked, note, error)
    return RedirectResponse(_HERE, HTTPStatus.SEE_OTHER)


async def _shown(visit: Visit, parts: Parts, asked: Asked, note: str = "", error: BadInput | None = None) -> Response:
    entry = await _entry(parts, asked)
    return page(
        "set_aside.html",
        visit,
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        here=_HERE,
        entry=entry,
        asked=asked,
        note=note,
        note_length_max=NOTE_LENGTH_MAX,
        problems=() if error is None else tuple(each.what for each in error.problems),
    )


async def _entry(parts: Parts, asked: Asked) -> Entry:
    """The entry, if it is there and can be set aside."""
    key = (asked.referral, asked.exception.value, asked.subject)
    async with parts.database.reading() as connection:
        found = await entries(connection, parts.keys, (key,), datetime.now(UTC))
    if not found or found[0].seen is None:
        raise NotFound(
            "queue entry", " ".join(each for each in (asked.exception, asked.referral, asked.subject) if each)
        )
    return found[0]
