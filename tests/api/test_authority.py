"""Authority is judged when a decision is recorded: what was true when the request came may no longer be."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.recording import recorded_together
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, NotSignedIn
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import sessions, tokens, users
from tests.desk import Desk, marks

Loss = Callable[[AsyncConnection], Awaitable[None]]


async def _barred(connection: AsyncConnection) -> None:
    await people.bar(connection, "paula", by="ada", at=datetime.now(UTC))


async def _without_roles(connection: AsyncConnection) -> None:
    await people.set_roles(connection, "paula", [], by="ada", at=datetime.now(UTC))


async def _with_another_role(connection: AsyncConnection) -> None:
    await people.set_roles(connection, "paula", [Role.ADMINISTRATOR], by="ada", at=datetime.now(UTC))


async def _known_as_the_referrer(connection: AsyncConnection) -> None:
    await people.set_marks(connection, "paula", marks(email="dexter@example.com"), by="ada", at=datetime.now(UTC))


async def _signed_out(connection: AsyncConnection) -> None:
    await sessions.end_all_of(connection, "paula")
    for row in await tokens.of(connection, "paula"):
        await tokens.revoke(connection, row.id, by="paula", at=datetime.now(UTC))


@pytest.mark.parametrize("by", ["token", "session"])
@pytest.mark.parametrize(
    ("loss", "refusal"),
    [
        (_barred, NotSignedIn),
        (_without_roles, NotAllowed),
        (_with_another_role, NotAllowed),
        (_known_as_the_referrer, DecisionRefused),
        (_signed_out, NotSignedIn),
    ],
)
async def test_whoever_loses_authority_between_two_of_many_claims_decides_on_none_after(
    desk: Desk, by: str, loss: Loss, refusal: type[Exception]
) -> None:
    shown = []
    for name in ("r1", "r2"):
        await desk.referral(name)
        shown.append((name, (await desk.get(f"/v1/claims/{name}")).json()["digest"]))
    now = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        if by == "token":
            paula = await users.signed_in(connection, desk.tokens["paula"], now)
        else:
            token = await sessions.begin(connection, "paula", at=now, factor=Factor.NOT_ASKED)
            paula = await sessions.visitor(connection, token, at=now)
    (first,) = await recorded_together(desk.parts, DecisionKind.APPROVE, "terms_met", "kept", shown[:1], paula)
    assert first.decision is not None
    async with desk.database.transaction() as connection:
        await loss(connection)
    (second,) = await recorded_together(desk.parts, DecisionKind.APPROVE, "terms_met", "kept", shown[1:], paula)
    assert isinstance(second.refusal, refusal)
    async with desk.database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM decision"))).scalar_one() == 1


async def test_two_accounts_of_one_person_are_no_four_eyes(desk: Desk) -> None:
    every = (Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER)
    for name in ("ann", "ann-of-the-provider"):
        await desk.add_user(name, *every, marks=marks(email="ann@company.example"))
    await desk.add_user("bob", *every, marks=marks(email="bob@company.example"))
    await desk.referral("r1", email="dexter@example.com")  # refers himself: an override, for two people
    assert (await desk.decide("r1", "approve", "ann")).status_code == 201
    again = await desk.decide("r1", "approve", "ann-of-the-provider")
    assert (again.status_code, again.json()["rule"]) == (409, "different_people")
    assert await desk.judge("r1") is ReferralStatus.AWAITING_APPROVAL
    assert (await desk.decide("r1", "approve", "bob")).status_code == 201
    assert await desk.judge("r1") is ReferralStatus.APPROVED
