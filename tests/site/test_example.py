"""The worked example of a referral site of one's own: it runs as it stands, by the public API alone."""

import asyncio
import os
import sys
from pathlib import Path

from sqlalchemy import text

from referral_rewards.domain.people.authority import Scope
from tests.apps import at_an_address
from tests.desk import Desk

EXAMPLE = Path(__file__).parents[2] / "examples" / "referral_site.py"


async def test_the_example_enrols_tells_and_asks_where_its_referrals_stand(desk: Desk) -> None:
    new = {
        "name": "my-site",
        "scopes": [Scope.EVENTS_WRITE, Scope.REFERRALS_READ],
        "sources": ["my-site"],
        "types": ["referrer.enrolled", "referral.sent", "referral.claimed"],
        "programs": ["acme-friends"],
    }
    token = (await desk.api.post("/v1/users", json=new, headers=desk.bearer("ada"))).json()["token"]
    async with at_an_address(desk.parts) as url:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", str(EXAMPLE), "acme-friends"),
            env={**os.environ, "REFERRALS_API_URL": url, "REFERRALS_TOKEN": token},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        judging = asyncio.create_task(judge_all(desk))
        said, problems = await running.communicate()
        judging.cancel()
        assert (running.returncode, problems) == (0, b""), problems.decode()
        assert said.decode().splitlines() == [
            "Acme refer a friend: a friend gets 10 % of the net amount, at most 40.00 USD, account credit",
            "email: invitation sent. The invitation was sent and has not been accepted yet.",
            "link: invitation accepted. The invitation was accepted. There is no qualifying purchase yet.",
        ]


async def judge_all(desk: Desk) -> None:
    """Do what a worker does, until cancelled: judge the referrals that were told of."""
    while True:
        async with desk.database.reading() as connection:
            found = list((await connection.execute(text("SELECT id FROM referral WHERE status IS NULL"))).scalars())
        for each in found:
            await desk.judge(each)
        await asyncio.sleep(0.05)
