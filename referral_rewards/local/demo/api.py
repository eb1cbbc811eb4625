"""The demo's only hands: the HTTP API, with a token for each person and for the shop that sends facts."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

SHOP = "acme"
"""The service that sends facts."""


class Refusal(Exception):
    """What the API did not do, with the rule it names where it names one."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.kind = str(problem.get("type", ""))
        self.rule = str(problem.get("rule", ""))
        super().__init__(str(problem.get("detail", problem)))

    @property
    def passes(self) -> bool:
        """Whether looking again is what helps: the claim is being judged anew."""
        return self.rule == "facts_unjudged" or self.kind.endswith(":stale-digest")


class Api:
    """Asks as the person named; reads as ``reader``."""

    def __init__(self, client: httpx.AsyncClient, tokens: Mapping[str, str], reader: str) -> None:
        self._client = client
        self._tokens = tokens
        self._reader = reader

    async def tell(self, event: dict[str, Any]) -> None:
        """Sends one fact; returns when it is safe."""
        await self._ask(SHOP, "POST", "/v1/events", json=event)

    async def referrals(self) -> dict[str, dict[str, Any]]:
        """Every referral by its id, in the form of `list --json`."""
        found: dict[str, dict[str, Any]] = {}
        after: str | None = None
        while True:
            query = {"limit": "500", **({"after": after} if after else {})}
            page = await self._ask(self._reader, "GET", "/v1/referrals", params=query)
            found |= {each["referral"]: each for each in page["referrals"]}
            after = page["next"]
            if after is None:
                return found

    async def referral(self, referral: str) -> dict[str, Any]:
        """Everything about one referral."""
        return dict(await self._ask(self._reader, "GET", f"/v1/referrals/{referral}"))

    async def queue(self) -> list[dict[str, Any]]:
        """What waits for a person."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            query = {"limit": "500", **({"after": after} if after else {})}
            page = await self._ask(self._reader, "GET", "/v1/claims", params=query)
            found += page["claims"]
            after = page["next"]
            if after is None:
                return found

    async def claim(self, referral: str) -> dict[str, Any]:
        """What a decision would be made against now."""
        return dict(await self._ask(self._reader, "GET", f"/v1/claims/{referral}"))

    async def decide(self, user: str, referral: str, decision: Mapping[str, str]) -> None:
        """Has the user decide: kind, reason, note and the digest that was looked at.

        Raises:
            Refusal: if the rules of approval don't admit it.
        """
        await self._ask(user, "POST", f"/v1/claims/{referral}/decisions", json=dict(decision))

    async def payouts(self, **wanted: str) -> list[dict[str, Any]]:
        """The payouts of a state, rail and so on; one page of them."""
        return list((await self._ask(self._reader, "GET", "/v1/payouts", params=wanted))["payouts"])

    async def show(self, path: str, user: str | None = None) -> dict[str, Any]:
        """A payout, a cycle and so on: with what it takes now and the digest to decide against, where it takes any."""
        return dict(await self._ask(user or self._reader, "GET", path))

    async def act(self, user: str, path: str, decision: Mapping[str, Any]) -> None:
        """Has the user decide about money: act, reason, note and the digest that was looked at.

        Raises:
            Refusal: if its rules don't admit it.
        """
        await self._ask(user, "POST", f"{path}/decisions", json=dict(decision))

    async def open_cycle(self, user: str, program: str) -> str:
        """Opens the program's next payout cycle before its day; its id."""
        return str((await self._ask(user, "POST", "/v1/cycles", json={"program": program}))["cycle"])

    async def begin_reconciling(self, user: str, rail: str) -> str:
        """Has the rail's list compared with ours; where the result is shown."""
        begun = await self._ask(user, "POST", "/v1/reconciliations", json={"rail": rail})
        return f"/v1/reconciliations/{begun['id']}"

    async def _ask(self, who: str, verb: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._tokens[who]}"}
        # A stack that is starting up may be busy for a moment; an answer 503 says that nothing was stored.
        for attempt in range(5):
            response = await self._client.request(verb, path, headers=headers, **more)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(0.2 * 2**attempt)
        if response.is_success:
            return response.json()
        try:
            raise Refusal(response.json())
        except ValueError:
            raise Refusal({"detail": f"{verb} {path} answered {response.status_code}"}) from None
