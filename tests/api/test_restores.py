"""After a restore: who may halt the rails, what opens one again, and that everything that is open can be woken."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import text

from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, OUTSIDE
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.queue import rails as queue
from tests.desk import Desk
from worker.process import Connections

PAYMENT: Final = UUID(int=77)
RESTORED_TO: Final = "2026-07-01T00:00:00Z"


async def sql(desk: Desk, statement: str, **given: Any) -> list[Any]:
    async with desk.database.transaction() as connection:
        result = await connection.execute(text(statement), given)
        return list(result.all()) if result.returns_rows else []


async def post(desk: Desk, path: str, body: Any, user: str = "fiona") -> Any:
    return await desk.api.post(path, json=body, headers=desk.bearer(user))


@pytest.fixture
async def restored(desk: Desk) -> Desk:
    await desk.add_user("otto", Role.OPERATIONS)
    await Connections(desk.database, {"stripe_transfer": "sandbox"}).say(datetime.now(UTC))
    made = await post(desk, "/v1/restores", {"restored_to": RESTORED_TO}, "otto")
    assert (made.status_code, made.json()["number"], made.json()["found_by"]) == (201, 1, "otto")
    return desk


async def test_a_restore_halts_every_outside_rail_and_has_the_connected_ones_reconciled(restored: Desk) -> None:
    rails = {each["rail"]: each for each in (await restored.get("/v1/rails")).json()}
    assert {name for name, each in rails.items() if each["restored"]} == OUTSIDE
    assert rails["account_credit"]["halted_at"] is None
    (asked,) = (await restored.get("/v1/reconciliations", "fiona")).json()
    assert (asked["rail"], asked["since"]) == ("stripe_transfer", "2026-06-30T00:00:00Z")
    assert [each["restored_to"] for each in (await restored.get("/v1/restores")).json()] == [RESTORED_TO]
    acts = [each["act"] for each in (await restored.get("/v1/audit", "ada")).json()["events"]]
    assert "register.restored" in acts


@pytest.mark.parametrize(
    ("user", "at", "status"), [("paula", RESTORED_TO, 403), ("fiona", "2126-01-01T00:00:00Z", 422), ("fiona", "x", 422)]
)
async def test_who_may_not_halt_and_a_moment_that_is_none(desk: Desk, user: str, at: str, status: int) -> None:
    assert (await post(desk, "/v1/restores", {"restored_to": at}, user)).status_code == status
    assert await sql(desk, "SELECT 1 FROM restored_rail") == []


async def test_a_rail_opens_once_it_is_reconciled(restored: Desk) -> None:
    path = "/v1/rails/stripe_transfer"
    shown = (await restored.get(path)).json()
    assert (shown["state"], shown["takes"]) == ("halted", [])
    assert shown["remains"] == ["its reconciliation is in progress"]
    new = {"act": "reopen_rail", "reason": "reconciled", "note": "all is there", "digest": shown["digest"]}
    refused = await post(restored, f"{path}/decisions", new)
    assert (refused.status_code, refused.json()["rule"]) == (409, "something_remains")
    assert refused.json()["detail"].endswith("its reconciliation is in progress")
    await sql(restored, "UPDATE reconciliation SET state = 'done'")
    reconciled = (await restored.get(path)).json()
    assert (reconciled["state"], reconciled["takes"]) == ("halted", ["reopen_rail"])
    new["digest"] = reconciled["digest"]
    assert (await post(restored, f"{path}/decisions", new, "otto")).status_code == 403
    assert (await post(restored, f"{path}/decisions", new)).status_code == 201
    opened = (await restored.get(path)).json()
    assert (opened["state"], opened["takes"], opened["remains"]) == ("open", [], [])
    assert [each["kind"] for each in opened["decisions"]] == ["reopen_rail"]
    assert (await post(restored, f"{path}/decisions", new)).status_code == 200


@pytest.mark.parametrize(
    ("kind", "reference", "remains"),
    [
        ("duplicate", "tr_9", 1),
        ("state", "tr_9", 1),
        ("unseen", "tr_9", 1),
        ("theirs_only", "tr_9", 0),
        ("ours_only", None, 0),
        # It is on record, and holds up the payouts to its payee alone.
        ("state", "tr_1", 0),
    ],
)
async def test_what_is_unexplained_keeps_a_rail_halted(
    restored: Desk, kind: str, reference: str | None, remains: int
) -> None:
    await sql(restored, "UPDATE reconciliation SET state = 'done'")
    await sql(
        restored,
        "INSERT INTO reconciliation_difference SELECT :id, id, :kind, :id, :reference, 'a', 'b' FROM reconciliation",
        id=PAYMENT,
        kind=kind,
        reference=reference,
    )
    await forgotten(restored)
    assert len((await restored.get("/v1/rails/stripe_transfer")).json()["remains"]) == remains


async def test_a_forgotten_payment_is_assigned_by_finance(restored: Desk) -> None:
    await forgotten(restored)
    path = f"/v1/forgotten-payments/{PAYMENT}"
    (listed,) = (await restored.get("/v1/forgotten-payments?state=waiting")).json()
    assert (listed["reference"], listed["payee"], listed["state"]) == ("tr_1", "dexter", "waiting")
    shown = (await restored.get(path)).json()
    assert shown["takes"] == ["assign_payment", "disown_payment"]
    new = {"act": "disown_payment", "reason": "paid_by_hand", "note": "not ours", "digest": shown["digest"]}
    assert (await post(restored, f"{path}/decisions", new, "otto")).status_code == 403
    assert (await post(restored, f"{path}/decisions", new)).status_code == 201
    assert (await restored.get(path)).json()["state"] == "disowned"
    assert (await restored.get("/v1/forgotten-payments?state=waiting")).json() == []


async def test_a_payment_is_assigned_to_a_payout_only(restored: Desk) -> None:
    await forgotten(restored)
    path = f"/v1/forgotten-payments/{PAYMENT}"
    digest = (await restored.get(path)).json()["digest"]
    for reference, said in (("tr_1", "name the payout by its id"), (str(UUID(int=3)), "there is no payout")):
        new = {"act": "assign_payment", "reason": "same_reward", "note": "it", "digest": digest, "reference": reference}
        refused = await post(restored, f"{path}/decisions", new)
        assert (refused.status_code, said in refused.text) == (422, True)


@pytest.mark.parametrize("path", ["/v1/rails/cash", f"/v1/forgotten-payments/{UUID(int=1)}"])
async def test_what_is_not_there_is_not_found(desk: Desk, path: str) -> None:
    assert (await desk.get(path)).status_code == 404


@pytest.mark.parametrize("rail", sorted(CATALOGUE))
async def test_a_rail_that_was_never_halted_takes_no_decision(desk: Desk, rail: str) -> None:
    shown = (await desk.get(f"/v1/rails/{rail}")).json()
    assert (shown["state"], shown["takes"], shown["remains"], shown["restored_to"]) == ("open", [], [], None)


async def test_everything_that_is_open_is_woken_once(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.referral("r2")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    await sql(desk, "UPDATE referral SET closed_at = now() WHERE id = 'r2'")
    await sql(desk, "DELETE FROM outbox")
    await sql(desk, "DELETE FROM to_judge")
    woken = (await post(desk, "/v1/restores/resync", {})).json()["woken"]
    rows = await sql(desk, "SELECT kind, count(*) AS times FROM outbox GROUP BY kind ORDER BY kind")
    assert [(row.kind, row.times) for row in rows] == [("fact", 1), ("payout_due", 2)]
    assert woken == 3
    assert (await post(desk, "/v1/restores/resync", {})).json() == {"woken": 0}
    assert (await post(desk, "/v1/restores/resync", {}, "paula")).status_code == 403


async def forgotten(desk: Desk) -> None:
    await sql(
        desk,
        """INSERT INTO forgotten_payment
           (id, rail, reference, payout_id, payee, destination, amount_minor, currency, state, found_at)
           VALUES (:id, 'stripe_transfer', 'tr_1', :payout, 'dexter', 'acct_dexter', 2500, 'USD', 'paid', :at)""",
        id=PAYMENT,
        payout=UUID(int=5),
        at=datetime.now(UTC) - timedelta(hours=1),
    )


async def test_the_queue_has_halted_rails_and_forgotten_payments_with_what_to_do(restored: Desk) -> None:
    await forgotten(restored)
    async with restored.database.transaction() as connection:
        await queue.keep_forgotten(connection, [PAYMENT])
    waiting = (await restored.get("/v1/claims?sort=newest")).json()["claims"]
    assert {each["subject"] for each in waiting if each["exception"] == "rail_halted"} == OUTSIDE
    assert {each["to_do"].startswith("Nothing is sent over it.") for each in waiting[:-1]} == {True}
    (found,) = (await restored.get("/v1/claims?q=dexter&route=finance")).json()["claims"]
    assert (found["exception"], found["subject"], found["program"]) == ("forgotten_payment", str(PAYMENT), None)
    assert found["about"] == (
        "payment tr_1 of 25.00 USD to dexter by Stripe transfer, which the register had forgotten"
    )
    async with restored.browser("fiona") as browser:
        page = (await browser.get("/queue")).text
        assert f'<a data-open href="/forgotten/{PAYMENT}">forgotten payment</a>' in page
        assert f"Rails to open again <b>{len(OUTSIDE)}</b>" in page
        shown = (await browser.get(f"/forgotten/{PAYMENT}")).text
        assert [act for act in ("assign_payment", "disown_payment") if f'value="{act}"' not in shown] == []
