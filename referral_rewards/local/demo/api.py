"""The demo's client of the HTTP API, with a token for each person and for the shop that sends facts. The demo acts
through it only."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

SHOP = "acme"
"""The service that sends facts."""


class Refusal(Exception):
    """A refusal of the API, with the rule that it names, if any."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.kind = str(problem.get("type", ""))
        self.rule = str(problem.get("rule", ""))
        super().__init__(str(problem.get("detail", problem)))

    @property
    def passes(self) -> bool:
        """Whether to reload and try again, because the claim is being judged again."""
        return self.rule == "facts_unjudged" or self.kind.endswith(":stale-digest")


class Api:
    """Acts as the named user; reads as ``reader``."""

    def __init__(self, client: httpx.AsyncClient, tokens: Mapping[str, str], reader: str) -> None:
        self._client = client
        self._tokens = tokens
        self._reader = reader

    async def tell(self, event: dict[str, Any]) -> None:
        """Send one fact, and return when it is stored."""
        await self._ask(SHOP, "POST", "/v1/events", json=event)

    async def referrals(self) -> dict[str, dict[str, Any]]:
        """Return every referral by id, in the form of `list --json`."""
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
        """Return everything about one referral."""
        return dict(await self._ask(self._reader, "GET", f"/v1/referrals/{referral}"))

    async def queue(self) -> list[dict[str, Any]]:
        """Return the queue."""
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
        """Return the claim that a decision would now be made on."""
        return dict(await self._ask(self._reader, "GET", f"/v1/claims/{referral}"))

    async def decide(self, user: str, referral: str, decision: Mapping[str, str]) -> None:
        """Record the user's decision: kind, reason, note and the digest that they saw.

        Raises:
            Refusal: if the rules of approval do not allow it.
        """
        await self._ask(user, "POST", f"/v1/claims/{referral}/decisions", json=dict(decision))

    async def payouts(self, **wanted: str) -> list[dict[str, Any]]:
        """Return a page of payouts, filtered by state, rail and so on."""
        return list((await self._ask(self._reader, "GET", "/v1/payouts", params=wanted))["payouts"])

    async def show(self, path: str, user: str | None = None) -> dict[str, Any]:
        """Return a payout, a cycle and so on, with the acts it now takes and, if any, the digest to decide on."""
        return dict(await self._ask(user or self._reader, "GET", path))

    async def act(self, user: str, path: str, decision: Mapping[str, Any]) -> None:
        """Record the user's decision on money: act, reason, note and the digest that they saw.

        Raises:
            Refusal: if the rules do not allow it.
        """
        await self._ask(user, "POST", f"{path}/decisions", json=dict(decision))

    async def export_instructions(self, user: str) -> None:
        """Export the instructions that wait for the bank, up to a hundred of them."""
        await self._ask(user, "POST", "/v1/payouts/instructions", json={})

    async def open_cycle(self, user: str, program: str) -> str:
        """Open the program's next payout cycle before its day, and return its id."""
        return str((await self._ask(user, "POST", "/v1/cycles", json={"program": program}))["cycle"])

    async def begin_reconciling(self, user: str, rail: str) -> str:
        """Start a reconciliation with the rail, and return where the result is shown."""
        begun = await self._ask(user, "POST", "/v1/reconciliations", json={"rail": rail})
        return f"/v1/reconciliations/{begun['id']}"

    async def _ask(self, who: str, verb: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._tokens[who]}"}
        # A stack that is starting may be busy for a moment; a 503 means that nothing was stored.
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
