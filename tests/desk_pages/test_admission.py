"""What a person is offered is what a person may do: both are one set of rules."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import REASON_CODES, Approver, DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.errors import DecisionRefused, NotAllowed
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.claims import subject as claim_subject
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.people import sessions
from referral_rewards.register.recording.record import record
from tests.desk import PEOPLE, Desk, marks

#: What a decision of this kind has to name.
_NAMES: Final[dict[DecisionKind, dict[str, Any]]] = {
    DecisionKind.ADJUST: {"leg": "referee", "leave_out": True},
    DecisionKind.REASSIGN: {"referrer": "mia"},
    DecisionKind.LINK: {"order": "o-elsewhere"},
}


@pytest.mark.parametrize(
    "made", [(), ("hold",), ("approve",), ("deny",)], ids=lambda made: "_then_".join(made) or "undecided"
)
async def test_what_is_offered_is_what_would_be_recorded(desk: Desk, made: tuple[str, ...]) -> None:
    await desk.add_user("dexter", Role.PROGRAM_OWNER, marks=marks(email="dexter@example.com"))
    await desk.referral("r1")
    for kind in made:
        assert (await desk.decide("r1", kind)).status_code == 201
        await desk.judge("r1")
    digest = (await desk.get("/v1/claims/r1")).json()["digest"]
    now = datetime.now(UTC)
    answers = {}
    for name in (*PEOPLE, "dexter"):
        async with desk.database.transaction() as connection:
            person = await _approver(connection, name)
            matter = await claim_subject.shown(connection, "r1", now, desk.parts.keys)
            offered = matter.subject.admits(person)
        for kind, refusal in offered.items():
            asked = Asked("r1", kind, REASON_CODES[kind][0], f"as {name}", digest, **_NAMES.get(kind, {}))
            said = await _refusal(desk, asked, name)
            if kind is DecisionKind.LINK:
                # What is linked is looked up first; nobody may do more than is offered.
                assert said is not None or refusal is None
            else:
                assert str(refusal) == str(said), (name, kind)
            answers[name, kind] = refusal
    assert {kind for name, kind in answers if name == "ada" and answers[name, kind] is None} == set()
    assert isinstance(answers["dexter", DecisionKind.APPROVE], DecisionRefused)


async def test_nothing_is_recorded_on_top_of_what_was_decided_unseen(desk: Desk) -> None:
    await desk.referral("r1")
    digest = (await desk.get("/v1/claims/r1")).json()["digest"]
    await desk.decide("r1", "hold")
    asked = Asked("r1", DecisionKind.DENY, "other", "looked", digest, seen=0)
    assert "put on hold by paula" in str(await _refusal(desk, asked, "paula"))
    assert await _refusal(desk, Asked("r1", DecisionKind.DENY, "other", "looked", digest, seen=1), "paula") is None


async def test_the_same_decision_again_is_not_one_that_was_made_unseen(desk: Desk) -> None:
    await desk.referral("r1")
    digest = (await desk.get("/v1/claims/r1")).json()["digest"]
    asked = Asked("r1", DecisionKind.HOLD, "other", "looked", digest, seen=0)
    for repeated in (False, True):
        async with desk.database.transaction() as connection:
            _, was = await _decide(desk, connection, asked, "paula")
        assert was is repeated


class _TakenBack(Exception):
    """Ends a transaction of which nothing shall stay."""


async def _refusal(desk: Desk, asked: Asked, name: str) -> Exception | None:
    """What `decide` says; whatever it records is taken back."""
    try:
        async with desk.database.transaction() as connection:
            await _decide(desk, connection, asked, name)
            raise _TakenBack
    except (DecisionRefused, NotAllowed) as refusal:
        return refusal
    except _TakenBack:
        return None


async def _decide(desk: Desk, connection: AsyncConnection, asked: Asked, name: str) -> tuple[Decision, bool]:
    person, now = await _approver(connection, name), datetime.now(UTC)
    return await record(connection, asked, person, now=now, keys=desk.parts.keys, signer=desk.parts.signer)


async def _approver(connection: AsyncConnection, name: str) -> Approver:
    token = await sessions.begin(connection, name, at=datetime.now(UTC), factor=Factor.NOT_ASKED)
    return (await sessions.visitor(connection, token, at=datetime.now(UTC))).approver
