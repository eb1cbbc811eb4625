"""The claim page: the recommendation with its reasons, and the decision form in two steps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from pydantic import ValidationError
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk import words
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.problems import said, status_of
from referral_rewards.api.recording import recorded
from referral_rewards.domain import money
from referral_rewards.domain.claims.advice import Change, advice, changes
from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX, REASON_CODES, DecisionKind, check_words
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.particulars import FIELDS, particulars
from referral_rewards.domain.errors import (
    BadInput,
    DecisionRefused,
    NotAllowed,
    Problem,
    ReferralRewardsError,
    RequestInvalid,
    StaleDigest,
)
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.people.authority import Scope
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.queue.filters import Filters
from referral_rewards.reporting.queue.neighbours import EVERY_CLAIM
from referral_rewards.reporting.referrals.decidable import claim_of
from referral_rewards.reporting.referrals.decision_sheet import Sheet, as_it_was, sheet
from referral_rewards.reporting.referrals.timeline_picture import picture
from referral_rewards.temporal import workflow_id

router = APIRouter()

_HERE: Final = "/queue"


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person has put into the form so far; it is kept whatever comes back.

    ``came_by`` is the search of the queue that led here, as its address says it; empty for none.
    """

    kind: str = ""
    reason: str = ""
    note: str = ""
    digest: str = ""
    leg: str = ""
    amount: str = ""
    referrer: str = ""
    order: str = ""
    store: str = ""
    seen: int = 0
    came_by: str = ""

    @classmethod
    def of(cls, form: FormData) -> "Typed":
        # Browsers send the end of a line as two characters; one is meant, and counted.
        # No field can hold a zero character, and none of ours asks for one.
        fields = ("kind", "reason", "note", "digest", *_NAMED)
        given = {name: str(form.get(name) or "").replace("\r\n", "\n").replace("\0", "") for name in fields}
        seen = str(form.get("seen") or "")
        came_by = _as_asked(str(form.get("from") or ""))
        return cls(**given, seen=int(seen) if seen.isdecimal() and len(seen) < 19 else 0, came_by=came_by)

    def asked(self, referral: str, currency: str | None) -> Asked:
        """Return what would be recorded; an amount is in this currency. Fields of other kinds of decision are left.

        Raises:
            RequestInvalid: with every field that is missing or wrong.
        """
        if self.kind not in set(DecisionKind):
            raise RequestInvalid("Choose a decision.", "kind")
        kind = DecisionKind(self.kind)
        problems = [] if self.reason else [Problem("reason", "Choose a reason.")]
        try:
            check_words(kind, self.reason or REASON_CODES[kind][0], self.note)
        except BadInput as error:
            problems += error.problems
        asked = Asked(
            referral, kind, self.reason, self.note, self.digest, seen=self.seen, **self._named(kind, currency)
        )
        try:
            particulars(kind, asked)
        except BadInput as error:
            problems += [Problem(_FIELDS.get(each.where, each.where), each.what) for each in error.problems]
        if problems:
            raise BadInput(problems)
        return asked

    def _named(self, kind: DecisionKind, currency: str | None) -> dict[str, Any]:
        """Return what the decision names; a leg without an amount is left out."""
        takes = FIELDS.get(kind, ())
        named: dict[str, Any] = {
            name: getattr(self, name).strip() or None for name in ("leg", "referrer", "order", "store")
        }
        named = {name: value for name, value in named.items() if name in takes}
        if kind is DecisionKind.ADJUST:
            amount = self.amount.strip()
            named |= {"amount_minor": _minor(amount, currency)} if amount else {"leave_out": True}
        return named


#: The fields of a form that a kind of decision may name, and under which field a problem with one is shown.
_NAMED: Final = ("leg", "amount", "referrer", "order", "store")
_FIELDS: Final = {"amount_minor": "amount"}


def _minor(amount: str, currency: str | None) -> int:
    """Return a typed amount in minor units.

    Raises:
        RequestInvalid: if it is none.
    """
    try:
        value = money.parse_decimal(amount)
    except ValueError as error:
        raise RequestInvalid(str(error), "amount") from None
    if currency is None or value <= 0 or not money.fits(value, currency):
        raise RequestInvalid(f"Enter an amount above zero in {currency or 'the program’s currency'}.", "amount")
    return money.to_minor(value, currency)


@router.get("/claims/{referral:path}")
async def show_claim(
    referral: str,
    visit: Reader,
    parts: Its,
    recorded: int | None = None,
    came_by: Annotated[str, Query(alias="from", max_length=2000)] = "",
) -> Response:
    """The claim with the form; ``recorded`` is the number of the decision that was just made, ``from`` the search of
    the queue that led here, through which one goes on."""
    typed = Typed(came_by=_as_asked(came_by))
    return _page(parts, visit, await _sheet(parts, referral, visit, typed), typed, recorded=recorded)


@router.post("/claims/{referral:path}")
async def decide(referral: str, visit: Reader, form: SentForm, parts: Its) -> Response:
    """The first step shows what exactly would be recorded, the second records it; ``edit`` goes back to the form."""
    typed, step = Typed.of(form), form.get("step")
    if step == "edit":
        return _page(parts, visit, await _sheet(parts, referral, visit, typed), typed)
    try:
        asked = typed.asked(referral, await _currency_of(parts, referral))
        visit.user.need_scope(Scope.CLAIMS_DECIDE)
        if step == "record":
            decision, _ = await recorded(parts, asked, visit.user)
            back = urlencode({"recorded": decision.seq, **({"from": typed.came_by} if typed.came_by else {})})
            return RedirectResponse(f"/claims/{quote(referral)}?{back}", HTTPStatus.SEE_OTHER)
        found = await _sheet(parts, referral, visit, typed, asked)
        _check(found, asked, typed)
    except (BadInput, DecisionRefused, NotAllowed, StaleDigest) as refusal:
        return await _again(parts, visit, referral, typed, refusal)
    return page(
        "claim_confirm.html",
        visit,
        here=_HERE,
        found=found,
        typed=typed,
        zone=found.timeline.zone if found.timeline else None,
        choice=found.choice(asked.kind),
        asked=asked,
        advice=advice(found.claim) if found.claim else None,
        shown=found.shown,
    )


def _check(found: Sheet, asked: Asked, typed: Typed) -> None:
    """Return if the decision could be recorded now; recording checks again."""
    if typed.seen < found.seen:
        later = [each for each in found.shown.decisions if each.seq > typed.seen and each.genuine]
        who = ", ".join(f"{label('decided', each.kind)} by {each.user}" for each in later)
        raise DecisionRefused(asked.subject, "decided_meanwhile", f"somebody decided while you were looking: {who}")
    if found.digest is not None and found.digest != asked.digest:
        raise StaleDigest(asked.subject, asked.digest, found.digest)
    choice = found.choice(asked.kind)
    if choice is None:
        why = found.closed_to_all or f"you can't {label('decision', asked.kind)} in this state"
        raise DecisionRefused(asked.subject, "not_taken", why)
    if choice.refusal is not None:
        raise choice.refusal
    if found.refusal is not None:
        raise found.refusal


async def _again(parts: Parts, visit: Visit, referral: str, typed: Typed, refusal: ReferralRewardsError) -> Response:
    """Show the form again, with its fields, why it was refused, and what changed since it was shown."""
    found = await _sheet(parts, referral, visit, typed)
    changed: list[Change] = []
    if typed.digest != found.digest and found.claim is not None:
        async with parts.database.reading() as connection:
            was = await as_it_was(connection, referral, typed.digest)
        changed = changes(was, found.claim) if was else []
    stale = isinstance(refusal, StaleDigest)
    problems = refusal.problems if isinstance(refusal, BadInput) else ()
    meanwhile = [each for each in found.shown.decisions if each.seq > typed.seen and each.genuine]
    if problems:  # nothing was decided on: what is new will be told once the form is complete
        kept, meanwhile, changed = typed, [], []
    else:
        kept = replace(typed, digest=found.digest or "", seen=found.seen)
    return _page(
        parts,
        visit,
        found,
        kept,
        status=status_of(type(refusal)),
        problems=problems,
        refusal=None if problems else refusal,
        stale=stale,
        changed=changed,
        meanwhile=meanwhile,
    )


async def _currency_of(parts: Parts, referral: str) -> str | None:
    """Return the currency of the referral's claim; None if it has none."""
    async with parts.database.reading() as connection:
        row = await referrals.row(connection, referral)
        claim = await claim_of(connection, row.claim_id) if row is not None else None
    return claim.currency if claim is not None else None


async def _sheet(parts: Parts, referral: str, visit: Visit, typed: Typed, asked: Asked | None = None) -> Sheet:
    came_by = Filters.model_validate(dict(parse_qsl(typed.came_by))) if typed.came_by else EVERY_CLAIM
    async with parts.database.reading() as connection:
        now, approver = datetime.now(UTC), visit.user.approver
        return await sheet(connection, referral, approver, parts.keys, now, came_by=came_by, asked=asked)


def _as_asked(query: str) -> str:
    """Return the queue search as one of our pages would write it; an invalid one becomes the whole queue."""
    try:
        return urlencode(Filters.model_validate(dict(parse_qsl(query))).query)
    except ValidationError:
        return ""


def _page(
    parts: Parts,
    visit: Visit,
    found: Sheet,
    typed: Typed,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    recorded: int | None = None,
    problems: tuple[Problem, ...] = (),
    refusal: ReferralRewardsError | None = None,
    **more: Any,
) -> Response:
    shown = found.shown
    by_field: Mapping[str, str] = {problem.where: problem.what for problem in problems}
    made = next((each for each in shown.decisions if each.seq == recorded), None) if recorded else None
    if not typed.digest:
        typed = replace(typed, digest=found.digest or "", seen=found.seen)
    return page(
        "claim.html",
        visit,
        status=status,
        here=_HERE,
        found=found,
        shown=shown,
        typed=typed,
        made=made,
        problems=by_field,
        problem_of=by_field.get,
        refusal=refusal,
        said=said(refusal) if refusal else "",
        advice=advice(found.claim) if found.claim else None,
        picture=Markup(picture(found.timeline)) if found.timeline else None,  # noqa: S704 (every text in it is escaped)
        zone=found.timeline.zone if found.timeline else None,
        run=run_of(parts, shown.referral),
        onward=f"?{urlencode({'from': typed.came_by})}" if typed.came_by else "",
        keys=words.KEYS,
        codes=REASON_CODES,
        note_length=NOTE_LENGTH_MAX,
        **{"stale": False, "changed": [], "meanwhile": [], **more},
    )


def run_of(parts: Parts, referral: str) -> str | None:
    """Return the address of the referral's workflow in the Temporal Web UI."""
    return f"{parts.web_ui}/workflows/{quote(workflow_id(referral), safe='')}" if parts.web_ui else None
