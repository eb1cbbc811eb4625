"""Every page of the desk with who looks at it, and a desk on which each of them has something to show."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.payouts.states import payout_id
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.restores.reopening import rail_id
from tests import money
from tests.desk import Desk, account, another_account, life_of

#: Each page, and who looks at it; nobody is signed in where that is empty.
PAGES: Final[Mapping[str, str]] = {
    "/sign-in": "",
    "/queue": "paula",
    "/queue?flag=self_referral&sort=newest": "paula",
    "/claims/r1": "paula",
    "/claims/own": "fiona",
    "/claims/nobody": "paula",
    "/referrals": "oscar",
    "/referrals/r1": "oscar",
    "/referrals/expired": "oscar",
    "/claims/approved": "fiona",
    "/payouts": "fiona",
    f"/payouts/{payout_id('approved', 'referee')}": "fiona",
    f"/payouts/{payout_id('approved', 'referrer')}": "oscar",
    "/clawbacks": "fiona",
    f"/clawbacks/{money.CASE}": "fiona",
    "/rails": "fiona",
    f"/rails/{rail_id('manual')}": "oscar",
    "/cycles": "fiona",
    f"/cycles/{money.CYCLE}": "fiona",
    "/programs": "oscar",
    "/programs/acme-friends": "oscar",
    "/programs/acme-friends/1": "oscar",
    "/programs/acme-friends/preflight": "oscar",
    "/programs/acme-friends/compare?from=1&to=1": "oscar",
    "/pilots/acme-friends": "paula",
    "/pilots/acme-friends/1": "oscar",
    "/reports/program/acme-friends?every=true": "oscar",
    "/reports/program/acme-friends/behind/started": "oscar",
    "/reports/month/acme-friends/2026-07": "paula",
    "/reports/program/acme-friends/budget": "oscar",
    "/reports/program/acme-friends/lifetime": "oscar",
    "/reports/audit/acme-friends": "fiona",
    "/ledger": "fiona",
    "/reports/liabilities": "fiona",
    "/reports/liabilities?program=acme-friends": "fiona",
    "/reconciliations": "fiona",
    "/payees": "fiona",
    "/payees/dexter": "fiona",
    "/payees/dexter/statement": "fiona",
    "/redirects?payee=dexter&rail=manual": "fiona",
    "/audit": "oscar",
    "/account": "paula",
    "/account/second-factor": "paula",
    "/people": "ada",
    "/people/paula": "ada",
    "/people/felix": "ada",
    "/persons": "ada",
    "/docs": "",
}


async def furnish(desk: Desk) -> None:
    """A claim that is clear, one that is flagged, one that is approved and being paid, and a referral that expired;
    a pilot of it all, and an account that was changed."""
    await _pilot(desk)
    await _somebody_to_confirm(desk)
    await desk.tell([account("dexter"), another_account("dexter")])
    await desk.referral("r1")
    await desk.referral("own", email="dexter@example.com")
    await desk.referral("approved")
    await desk.decide("approved", "approve")
    assert await desk.judge("approved") == "approved"
    await money.stand(desk, "approved")
    await desk.tell(life_of("expired")[:1])
    assert await desk.judge("expired") == "expired"
    for each in ("r1", "expired"):
        asked = {"customer": [f"c-{each}"]}
        erased = await desk.api.post("/v1/persons/erase", json=asked, headers=desk.bearer("ada"))
        assert erased.status_code < 300, erased.text


async def _somebody_to_confirm(desk: Desk) -> None:
    """Felix, whose address an administrator set: a second one has to confirm that."""
    await desk.add_user("felix", Role.FINANCE)
    told = {"email": "felix@example.com"}
    set_ = await desk.api.put("/v1/users/felix/contact", json=told, headers=desk.bearer("ada"))
    assert set_.status_code < 300, set_.text


async def _pilot(desk: Desk) -> None:
    """A pilot that runs for a month."""
    shown = (await desk.get("/v1/pilots/acme-friends")).json()
    asked = {"owner": "paula", "lasts": "P30D", "reason": "new_program", "note": "a first look"}
    made = await desk.api.post(
        "/v1/pilots/acme-friends/start", json={**asked, "digest": shown["digest"]}, headers=desk.bearer("paula")
    )
    assert made.status_code == 201, made.text
