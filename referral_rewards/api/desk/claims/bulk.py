"""Bulk decisions from the queue: the selection is shown for review, then each claim gets its own decision."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import FOLLOWS_TOGETHER, first_upper
from referral_rewards.api.problems import said
from referral_rewards.api.recording import recorded_together
from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX, REASON_CODES, DecisionKind
from referral_rewards.domain.claims.decision_kinds import TOGETHER_MAX
from referral_rewards.domain.decisions.bulk import TOGETHER
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.people.authority import Scope
from referral_rewards.reporting.queue import entries as waiting
from referral_rewards.reporting.queue.entries import Entry

router = APIRouter()

_HERE: Final = "/queue"


@dataclass(frozen=True, slots=True)
class _Typed:
    """What was selected, each with the digest that was shown, and what was put into the form so far."""

    claims: tuple[tuple[str, str], ...]
    kind: str
    reason: str
    note: str
    back: str

    @classmethod
    def of(cls, form: FormData) -> "_Typed":
        given = {
            name: str(form.get(name) or "").replace("\r\n", "\n").replace("\0", "")
            for name in ("kind", "reason", "note", "back")
        }
        chosen = [str(each).replace("\0", "").partition(" ") for each in form.getlist("claim")]
        claims = tuple(dict.fromkeys((referral, digest) for digest, _, referral in chosen if referral))
        return cls(claims=claims[:TOGETHER_MAX], **given)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A selected claim in its present state, and the reason if it would be left out."""

    referral: str
    digest: str
    entry: Entry | None
    problem: str | None


@router.post("/queue/decide")
async def decide(visit: Reader, form: SentForm, parts: Its) -> Response:
    """The first step shows what was selected and asks what is decided; the second records it and shows what came of it.

    Sent again, it shows the decisions that there are: none is recorded twice.
    """
    typed = _Typed.of(form)
    if not typed.claims:
        raise RequestInvalid("Select at least one claim first.", "claims")
    visit.user.need_scope(Scope.CLAIMS_DECIDE)
    if form.get("step") != "record":
        return await _confirm(parts, visit, typed)
    problems = [Problem(name, f"Choose a {what}.") for name, what in _CHOICES if not getattr(typed, name)]
    try:
        if problems or typed.kind not in set(DecisionKind):
            raise BadInput(problems or [Problem("kind", "Choose a decision.")])
        kind = DecisionKind(typed.kind)
        outcomes = await recorded_together(parts, kind, typed.reason, typed.note, typed.claims, visit.user)
    except BadInput as refusal:
        return await _confirm(parts, visit, typed, refusal)
    return page(
        "queue_decided.html",
        visit,
        here=_HERE,
        kind=kind,
        back=typed.back,
        done=[each for each in outcomes if each.decision is not None],
        left_out=[(each, said(each.refusal)) for each in outcomes if each.refusal is not None],
    )


_CHOICES: Final = (("kind", "decision"), ("reason", "reason"))


async def _confirm(parts: Parts, visit: Visit, typed: _Typed, refusal: BadInput | None = None) -> Response:
    keys = tuple((referral, str(Waits.APPROVAL), "") for referral, _ in typed.claims)
    async with parts.database.reading() as connection:
        entries = await waiting.entries(connection, parts.keys, keys, datetime.now(UTC))
    found = {entry.referral: entry for entry in entries}
    chosen: list[_Chosen] = []
    totals: Counter[str] = Counter()
    for referral, digest in typed.claims:
        entry = found.get(referral)
        problem = _in_the_way(entry, digest)
        if entry is not None and problem is None:
            for leg in entry.reward:
                totals[leg.currency] += leg.amount_minor
        chosen.append(_Chosen(referral, digest, entry, problem))
    return page(
        "queue_confirm.html",
        visit,
        status=HTTPStatus.OK if refusal is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        here=_HERE,
        typed=typed,
        chosen=chosen,
        fit=sum(each.problem is None for each in chosen),
        totals=sorted(totals.items()),
        kinds=[(kind, _title(kind), FOLLOWS_TOGETHER[kind]) for kind in TOGETHER],
        reasons=[(kind, _title(kind), [(each, _reason(each)) for each in REASON_CODES[kind]]) for kind in TOGETHER],
        note_length_max=NOTE_LENGTH_MAX,
        problems={each.where: each.what for each in refusal.problems} if refusal else {},
    )


def _in_the_way(entry: Entry | None, digest: str) -> str | None:
    """Return why a claim would be left out, as far as the page can see; recording checks every rule."""
    if entry is None:
        return "it is no longer waiting for approval"
    if entry.approval.digest != digest:
        return "it changed since it was shown"
    if entry.eligibility.flags:
        return "it is flagged: decide it on its own page"
    return None


def _title(kind: DecisionKind) -> str:
    return first_upper(label("decision", kind))


def _reason(code: str) -> str:
    return first_upper(label("decision_reason", code))
