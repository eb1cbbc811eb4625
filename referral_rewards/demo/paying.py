"""What finance does after the approvals: it confirms what was paid by hand, and releases the month's list."""

import asyncio
import time
from typing import Any, Final

from referral_rewards.demo.api import Api, Refusal
from referral_rewards.demo.progress import Progress

#: Whoever confirms an instruction approved none of what it pays.
SECOND: Final = "fritz"
FIRST: Final = "fay"
_LOOK_AGAIN_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 30.0


async def confirm_instructions(api: Api, progress: Progress) -> None:
    """Has a second person confirm each instruction that was carried out by hand."""
    for payout in await api.payouts(state="accepted", rail="manual"):
        decision = {"act": "confirm_payout", "reason": "receipt", "note": "The cheque was cashed."}
        reference = f"cheque-{payout['payout'][:8]}"
        await _act(api, SECOND, f"/v1/payouts/{payout['payout']}", {**decision, "reference": reference})
        progress.say(f"{SECOND} has confirmed the cheque for {payout['payee']}")


async def pay_the_month(api: Api, program: str, progress: Progress) -> None:
    """Gathers what is due, looks at the list, and releases it."""
    cycle = await api.open_cycle(FIRST, program)
    path = f"/v1/cycles/{cycle}"
    await _act(api, FIRST, path, {"act": "release_cycle", "reason": "list_checked", "note": "One transfer to Yuki."})
    progress.say(f"{FIRST} has released the cycle of {program}: {await _said(api, path)}")


async def _said(api: Api, path: str) -> str:
    shown = await api.show(path)
    return ", ".join(f"{name} {value}" for name, value in sorted(shown.get("summary", {}).items()))


async def _act(api: Api, user: str, path: str, decision: dict[str, Any]) -> None:
    """Decides once the subject takes it, against what is shown of it then.

    Raises:
        Refusal: if it is not admitted, or the subject does not come to take it.
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
