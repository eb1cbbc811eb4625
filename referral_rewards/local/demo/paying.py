"""What finance does after the approvals: confirms payments by hand, releases the monthly payout cycle, and reconciles
with the providers."""

import asyncio
import time
from typing import Any, Final

from referral_rewards.domain import money
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, MANUAL
from referral_rewards.local.demo.api import Api, Refusal
from referral_rewards.local.demo.output import Progress

#: The person who confirms an instruction must not have approved what it pays.
SECOND: Final = "fritz"
FIRST: Final = "fay"
_LOOK_AGAIN_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 120.0


async def confirm_instructions(api: Api, progress: Progress) -> None:
    """Export the instructions, and confirm each, as a second person, once it was carried out by hand."""
    await api.export_instructions(FIRST)
    for payout in await api.payouts(state="accepted", rail=MANUAL.name):
        decision = {"act": "confirm_payout", "reason": "receipt", "note": "The cheque was cashed."}
        reference = f"cheque-{payout['payout'][:8]}"
        await _act(api, SECOND, f"/v1/payouts/{payout['payout']}", {**decision, "reference": reference})
        progress.say(f"{SECOND} has confirmed the cheque for {payout['payee']}")


async def pay_the_month(api: Api, program: str, progress: Progress) -> None:
    """Gather what is due, load the list, and release it."""
    cycle = await api.open_cycle(FIRST, program)
    path = f"/v1/cycles/{cycle}"
    await _act(api, FIRST, path, {"act": "release_cycle", "reason": "list_checked", "note": "One transfer to Yuki."})
    totals = (await api.show(path))["summary"]["totals"]
    paid = [f"{money.display(each['amount_minor'], each['currency'])} in {each['payouts']} payouts" for each in totals]
    progress.say(f"{FIRST} has released the cycle of {program}: {', '.join(paid)}")


async def reconcile(api: Api, progress: Progress) -> list[str]:
    """Return the differences between the providers' lists and our settled payouts, one sentence each."""
    results = await asyncio.gather(*(_compared(api, rail) for rail in CATALOGUE))
    paid, wrong = sum(each["theirs"] for each in results), [each for each in results if each["state"] != "done"]
    progress.say(f"reconciled with {len(results)} rails, which list {paid} payments")
    return [
        *(f"{each['rail']} was not compared: {each['why']}" for each in wrong),
        *(f"{each['rail']}: {found['said']}" for each in results for found in each["found"]),
    ]


async def _compared(api: Api, rail: str) -> dict[str, Any]:
    path = await api.begin_reconciling(FIRST, rail)
    patient_until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        result = await api.show(path, FIRST)
        if result["state"] in ("done", "failed") or time.monotonic() > patient_until:
            return result
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _act(api: Api, user: str, path: str, decision: dict[str, Any]) -> None:
    """Wait until the subject takes the act, and record it on the subject as shown then.

    Raises:
        Refusal: if it is not allowed, or the subject does not take it in time.
    """
    patient_until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        shown = await api.show(path)
        try:
            if decision["act"] in shown["takes"]:
                return await api.act(user, path, {**decision, "digest": shown["digest"]})
            if time.monotonic() > patient_until:
                raise Refusal({"detail": f"{path} takes {shown['takes']} and not {decision['act']}: {shown}"})
        except Refusal as refusal:
            if refusal.rule != "stale":
                raise
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
