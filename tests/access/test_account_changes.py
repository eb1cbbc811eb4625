"""No administrator acts as another: what could let them is told, on record, and blocks decisions until confirmed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pyotp
import pytest
from fastapi.routing import APIRoute
from typer.main import get_group

from referral_rewards.api.desk.people import users as people_pages
from referral_rewards.cli.people import tokens as token_commands
from referral_rewards.cli.people import users as user_commands
from referral_rewards.domain.people.account_changes import AccountAct
from referral_rewards.domain.people.authority import Role
from referral_rewards.notices.smtp import Smtp
from referral_rewards.register.people import account_changes, administration, factors
from referral_rewards.register.sealing import Sealer
from tests.access.browsing import form
from tests.access.test_audit import record
from tests.access.test_people import person
from tests.desk import Desk
from tests.notices.mailbox import SENDER, mailbox
from tests.notices.posting import now, postman, sql

_A = AccountAct
SEALER: Final = Sealer([b"k" * 32])
PASSWORD: Final = "correct horse battery"

#: What lets whoever does it to another user sign in as them: each route of the API, with what it keeps.
CHANGES: Final[dict[str, tuple[AccountAct, Any]]] = {
    "POST /v1/users/{name}/identities": (_A.IDENTITY_LINKED, {"issuer": "https://id.example.com", "subject": "NAME"}),
    "PUT /v1/users/{name}/password": (_A.PASSWORD_SET, {"password": PASSWORD}),
    "DELETE /v1/users/{name}/second-factor": (_A.FACTOR_RESET, None),
    "POST /v1/users/{name}/tokens": (_A.TOKEN_ISSUED, {"label": "x"}),
    "PUT /v1/users/{name}/contact": (_A.CONTACT_CHANGED, {"email": "other@example.com"}),
    "DELETE /v1/users/{name}/contact": (_A.CONTACT_CHANGED, None),
    "DELETE /v1/users/{name}/marks": (_A.MARKS_FORGOTTEN, None),
    "POST /v1/users": (_A.TOKEN_ISSUED, {"name": "NAME", "roles": ["program_owner"], "contact": "n@example.com"}),
}
#: What only takes something away from another user, says what they may do in their own name, or is one's own.
TAKES: Final = {
    "DELETE /v1/users/{name}/password",
    "DELETE /v1/users/{name}/identities",
    "DELETE /v1/users/{name}/sessions",
    "PUT /v1/users/{name}/bar",
    "DELETE /v1/users/{name}/tokens/{number}",
    "DELETE /v1/tokens/{number}",
}
GRANTS: Final = {
    "PUT /v1/users/{name}/roles",
    "PUT /v1/users/{name}/rights",
    "PUT /v1/users/{name}/programs",
    "PUT /v1/users/{name}/marks",
    "DELETE /v1/users/{name}/bar",
    "PUT /v1/users/{name}/confirmation",
}
OWN: Final = {
    "POST /v1/tokens",
    *(f"POST /account/{act}" for act in ("password", "sessions/end", "contact", "tokens", "tokens/{number}/revoke")),
    *(f"POST /account/second-factor/{act}" for act in ("offer", "confirm", "show", "recovery-codes")),
    "POST /account/confirm",
    *(f"POST /sign-{each}" for each in ("in", "in/code", "in/continue", "out")),
}
#: The forms of a person's page, and what they keep; None: as above, nothing.
FORMS: Final[dict[str, tuple[AccountAct, dict[str, str]] | None]] = {
    "link": (_A.IDENTITY_LINKED, {"issuer": "https://id.example.com", "subject": "NAME"}),
    "password": (_A.PASSWORD_SET, {"password": PASSWORD}),
    "reset-second-factor": (_A.FACTOR_RESET, {}),
    "contact": (_A.CONTACT_CHANGED, {"contact": "other@example.com"}),
    **dict.fromkeys(("roles", "rights", "programs", "marks", "no-password", "end-sessions", "unlink", "bar", "unbar")),
}
#: Commands go through the API; only adding an administrator by the database's password does not.
COMMANDS: Final = {
    *("list", "add", "roles", "rights", "programs", "marks", "contact", "password", "reset-second-factor", "link"),
    *("confirm", "end-sessions", "bar", "unbar"),
}


async def test_every_act_on_an_account_is_known_here(desk: Desk) -> None:
    """A new route, form or command fails this until somebody has said whether it lets one act as another."""
    about = ("/v1/users", "/v1/tokens", "/account", "/sign-in", "/sign-out", "/people")
    included = [getattr(each, "original_router", None) for each in desk.app.routes]
    routes = [*desk.app.routes, *(route for router in included if router is not None for route in router.routes)]
    there = {
        f"{method} {route.path.replace(':path', '')}"
        for route in routes
        if isinstance(route, APIRoute) and route.path.startswith(about)
        for method in route.methods
        if method != "GET"
    }
    forms = ("", "/{name}/{act}", "/{name}/confirm", "/{name}/tokens/{number}/revoke")
    assert there == {*CHANGES, *TAKES, *GRANTS, *OWN, *(f"POST /people{each}" for each in forms)}
    assert set(people_pages._ACTS) == set(FORMS)
    assert set(get_group(user_commands.commands).commands) == COMMANDS
    assert set(get_group(token_commands.commands).commands) == {"add", "list", "revoke"}


async def approver(desk: Desk, name: str, *, enrolled: bool) -> None:
    """Somebody who may decide, with an address and, if ``enrolled``, a second factor."""
    await desk.add_user(name, Role.PROGRAM_OWNER, marks={f"customer:{name}"})
    async with desk.database.transaction() as connection:
        at = datetime.now(UTC)
        await administration.set_contact(connection, name, f"{name}@example.com", by=name, at=at)
        if enrolled:
            await enrol(desk, connection, name, at)


async def enrol(desk: Desk, connection: Any, name: str, at: datetime) -> str:
    await factors.offer(connection, SEALER, name)
    secret = await factors.offered(connection, SEALER, name)
    assert secret is not None
    await factors.confirm(connection, SEALER, name, pyotp.TOTP(secret).now(), here="", at=at)
    return secret


async def approving(desk: Desk, name: str) -> httpx.Response:
    """An attempt of theirs to approve, with their own token."""
    return await desk.decide("r1", "approve", as_=name)


async def blocked(desk: Desk, name: str, act: AccountAct) -> None:
    """That they decide nothing, that it is on record, and that it is to be told where they were known."""
    async with desk.database.transaction() as connection:
        [change] = await account_changes.unconfirmed(connection, name)
        told = await account_changes.told(connection, change.id)
    assert (change.act, change.changed_by) == (act, "ada"), name
    assert told is not None
    assert told.address in (f"{name}@example.com", None)
    refused = await approving(desk, name)
    assert (refused.status_code, "decides nothing until this is confirmed: ada" in refused.text) == (403, True), name


async def test_whoever_could_act_as_another_has_blocked_them_over_the_api(desk: Desk) -> None:
    await desk.referral("r1")
    for number, (route, (act, body)) in enumerate(CHANGES.items()):
        name = f"user{number}"
        if route != "POST /v1/users":
            await approver(desk, name, enrolled=act is _A.FACTOR_RESET)
        method, _, path = route.partition(" ")
        sent = {key: name if value == "NAME" else value for key, value in body.items()} if body else None
        address = path.replace("{name}", name)
        done = await desk.api.request(method, address, json=sent, headers=desk.bearer("ada"))
        assert done.status_code < 300, (route, done.text)
        desk.tokens[name] = desk.tokens.get(name) or done.json()["token"]
        await blocked(desk, name, act)
    letters = await sql(desk, "SELECT recipient FROM notice WHERE audience = 'account' ORDER BY recipient")
    assert [each.recipient for each in letters] == sorted(f"user{number}" for number in range(len(CHANGES)))


async def test_whoever_could_act_as_another_has_blocked_them_on_the_desk(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("ada") as ada:
        for number, (act, its) in enumerate(FORMS.items()):
            name = f"user{number}"
            await approver(desk, name, enrolled=True)
            fields = {key: name if value == "NAME" else value for key, value in (its[1] if its else {}).items()}
            fields = fields or {"role": "program_owner", "customer": "c-1"}
            done = await ada.send(f"/people/{name}/{act}", **fields)
            if its is None:
                assert (await person(desk, name)).unconfirmed == 0, act
            else:
                assert done.status_code == 303, (act, done.text)
                await blocked(desk, name, its[0])


async def test_whoever_is_unconfirmed_sets_nothing_going_with_money(desk: Desk) -> None:
    done = await desk.api.put("/v1/users/fiona/password", json={"password": PASSWORD}, headers=desk.bearer("ada"))
    assert done.status_code < 300, done.text
    asked = {"/v1/cycles": {"program": "acme-friends"}, "/v1/reconciliations": {"rail": "manual"}}
    for address, body in asked.items():
        refused = await desk.api.post(address, json=body, headers=desk.bearer("fiona"))
        assert (refused.status_code, "decides nothing until this is confirmed" in refused.text) == (403, True), address


async def test_another_administrator_confirms_and_whoever_made_the_change_does_not(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.add_user("alan", Role.ADMINISTRATOR)
    async with desk.browser("ada") as ada, desk.browser("alan") as alan:
        await ada.send("/people/paula/link", issuer="https://id.example.com", subject="1")
        own = form(await ada.get("/people/paula"), "/people/paula/confirm")
        refused = await ada.send(own.action, change=own.fields["change"])
        assert (refused.status_code, "somebody else must confirm it" in refused.text) == (403, True)
        await ada.send("/people/paula/password", password=PASSWORD)
        late = await alan.send(own.action, change=own.fields["change"])
        assert (late.status_code, "since this was shown" in late.text) == (403, True)
        assert (await approving(desk, "paula")).status_code == 403
        async with desk.database.transaction() as connection:
            seen = [str(each.id) for each in await account_changes.unconfirmed(connection, "paula")]
        assert (await alan.send(own.action, change=seen)).status_code == 303
    assert (await approving(desk, "paula")).status_code == 201
    assert await record(desk, "user.confirmed") == [
        ("alan", "user.confirmed", "paula", {"changes": ["identity_linked by ada", "password_set by ada"]})
    ]


async def test_an_administrator_who_could_be_another_confirms_nothing(desk: Desk) -> None:
    """Ada gives herself a second administrator, or takes one over: neither stands behind what she did."""
    added = await desk.api.post(
        "/v1/users", json={"name": "eve", "roles": ["administrator"]}, headers=desk.bearer("ada")
    )
    desk.tokens["eve"] = added.json()["token"]
    await desk.api.put("/v1/users/paula/password", json={"password": PASSWORD}, headers=desk.bearer("ada"))
    [change] = (await desk.get("/v1/users/paula/changes", as_="eve")).json()
    refused = await desk.api.put(
        "/v1/users/paula/confirmation", json={"changes": [change["id"]]}, headers=desk.bearer("eve")
    )
    assert (refused.status_code, "eve decides nothing" in refused.text) == (403, True)


async def test_one_person_with_two_accounts_does_not_become_two(desk: Desk) -> None:
    """Ada is an administrator in one account and decides in another. What makes both her own is forgotten by the one:
    the other decides nothing, and neither confirms it, though the other's second factor is old."""
    desk.app.state.parts = replace(desk.parts, sealer=SEALER)
    await desk.referral("r1")
    await approver(desk, "ada2", enrolled=True)
    await desk.add_user("alan", Role.ADMINISTRATOR)
    async with desk.database.transaction() as connection:
        await administration.set_marks(connection, "ada", {"customer:ada2"}, by="alan", at=datetime.now(UTC))
        await connection.exec_driver_sql("UPDATE second_factor SET enrolled_at = enrolled_at - interval '1 hour'")
    async with desk.browser("ada") as ada, desk.browser("ada2") as other:
        assert (await ada.send("/people/ada2/marks", forget="on")).status_code == 303
        await blocked(desk, "ada2", _A.MARKS_FORGOTTEN)
        its = form(await other.get("/account"), "/account/confirm")
        refused = await other.send(its.action, **{**its.fields, "one_time_code": "000000"})
        assert refused.status_code in (403, 422), refused.text
        own = form(await ada.get("/people/ada2"), "/people/ada2/confirm")
        assert (await ada.send(own.action, change=own.fields["change"])).status_code == 403
    [change] = (await desk.get("/v1/users/ada2/changes", as_="alan")).json()
    confirmed = await desk.api.put(
        "/v1/users/ada2/confirmation", json={"changes": [change["id"]]}, headers=desk.bearer("alan")
    )
    assert confirmed.status_code == 204, confirmed.text


async def test_whoever_signs_in_through_the_change_confirms_nothing_and_keeps_nothing(desk: Desk) -> None:
    """Ada links her identity to paula. As paula she has new recovery codes made, and asks for a token that lasts."""
    desk.app.state.parts = replace(desk.parts, sealer=SEALER)
    async with desk.database.transaction() as connection:
        at = datetime.now(UTC)
        await enrol(desk, connection, "paula", at)
        await administration.link(
            connection, "paula", issuer="https://id.example.com", subject="1", by="ada", at=datetime.now(UTC)
        )
        codes = await factors.renew_codes(connection, "paula", at=at)
    async with desk.browser("paula") as as_paula:
        its = form(await as_paula.get("/account"), "/account/confirm")
        refused = await as_paula.send(its.action, **{**its.fields, "one_time_code": codes[0]})
        assert (refused.status_code, "a recovery code does not confirm this" in refused.text) == (422, True)
        token = await as_paula.send("/account/tokens", label="lasts", scope="claims:decide", days="7")
        assert (token.status_code, "decides nothing until this is confirmed" in token.text) == (403, True)
    assert (await person(desk, "paula")).unconfirmed == 1


@pytest.mark.parametrize(("before", "status"), [(True, 303), (False, 403)])
async def test_the_person_confirms_with_a_second_factor_that_is_older(desk: Desk, before: bool, status: int) -> None:
    desk.app.state.parts = replace(desk.parts, sealer=SEALER)
    at = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        if not before:
            await administration.set_contact(connection, "paula", "paula@example.com", by="paula", at=at)
            await administration.set_contact(connection, "paula", "ada@example.com", by="ada", at=at)
        secret = await enrol(desk, connection, "paula", at)
        await connection.exec_driver_sql("UPDATE second_factor SET last_step = 0")
        if before:
            await connection.exec_driver_sql("UPDATE second_factor SET enrolled_at = enrolled_at - interval '1 hour'")
            await administration.link(
                connection, "paula", issuer="https://id.example.com", subject="1", by="ada", at=datetime.now(UTC)
            )
    async with desk.browser("paula") as paula:
        its = form(await paula.get("/account"), "/account/confirm")
        assert (await paula.send(its.action, **{**its.fields, "one_time_code": "00000O"})).status_code == 422
        done = await paula.send(its.action, **{**its.fields, "one_time_code": pyotp.TOTP(secret).now()})
        assert done.status_code == status, done.text
    assert (await person(desk, "paula")).unconfirmed == (0 if before else 1)


async def test_the_letter_goes_where_the_person_was_known_and_the_old_address_is_erased_then(desk: Desk) -> None:
    await approver(desk, "grace", enrolled=False)
    await desk.add_user("alan", Role.ADMINISTRATOR)
    await desk.api.put("/v1/users/grace/contact", json={"email": "ada@example.com"}, headers=desk.bearer("ada"))
    async with mailbox() as (box, at), postman(desk, Smtp(at(), SENDER)) as man:
        assert await man.deliver(now()) == 1
        [letter] = box.letters
        assert letter["To"] == "grace@example.com"
        body = letter.get_body(("plain",))
        assert body is not None
        assert "ada changed the email address on" in body.get_content()
    [change] = (await desk.get("/v1/users/grace/changes", as_="alan")).json()
    confirmed = await desk.api.put(
        "/v1/users/grace/confirmation", json={"changes": [change["id"]]}, headers=desk.bearer("alan")
    )
    assert confirmed.status_code == 204, confirmed.text
    [known] = await sql(
        desk,
        "SELECT p.sealed FROM account_change c JOIN personal_data p ON p.subject_id = c.known_contact_id"
        " WHERE c.username = 'grace'",
    )
    assert known.sealed is None
