"""Providers for a local stack that names none of its own: sandboxes as one more process, which pay nobody."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from referral_rewards.config.form import PREFIX
from referral_rewards.local.children import RAIL_SECRETS, WEBHOOK_SECRETS, is_ok
from referral_rewards.local.embedded import HOST
from referral_rewards.local.sandbox import paypal, stripe, tremendous
from referral_rewards.local.supervisor import Program

#: What each provider gave us, and the secret of its webhooks.
_GIVEN: Final[Mapping[str, Mapping[str, str]]] = {
    "STRIPE": {"KEY": stripe.KEY},
    "PAYPAL": {"CLIENT_ID": paypal.CLIENT_ID, "SECRET": paypal.SECRET},
    "TREMENDOUS": {
        "KEY": tremendous.KEY,
        "FUNDING_SOURCE": tremendous.FUNDING_SOURCE,
        "CAMPAIGN": tremendous.CAMPAIGN,
    },
}
_HOOKS: Final = {"STRIPE": stripe.WEBHOOK_SECRET, "PAYPAL": paypal.WEBHOOK_ID, "TREMENDOUS": tremendous.WEBHOOK_KEY}


def connected(given: Mapping[str, str], data: Path, port: int) -> dict[str, str]:
    """The environment with a sandbox for each provider that it does not name; as it is, if it names them all."""
    lacking = [name for name in _GIVEN if not any(each.startswith(f"{RAIL_SECRETS}{name}_") for each in given)]
    found = dict(given)
    for name in lacking:
        found[f"{RAIL_SECRETS}{name}_URL"] = f"http://{HOST}:{port}/{name.lower()}"
        found |= {f"{RAIL_SECRETS}{name}_{part}": value for part, value in _GIVEN[name].items()}
    if lacking and not any(each.startswith(WEBHOOK_SECRETS) for each in given):
        found[f"{WEBHOOK_SECRETS}SECRETS"] = json.dumps({name.lower(): _HOOKS[name] for name in lacking})
        found[f"{WEBHOOK_SECRETS}PAYPAL_CERTIFICATES"] = f"http://{HOST}:{port}/paypal/v1/notifications/certs/"
        found[f"{WEBHOOK_SECRETS}PAYPAL_ROOTS"] = str(_folder(data) / "paypal-root.pem")
    return found


def sandboxes(data: Path, port: int, api: str, known: Mapping[str, str]) -> Program:
    """The process, which tells the API of what happens."""
    command = [
        *(sys.executable, "-m", "referral_rewards.local.sandbox", "--port", str(port)),
        *("--folder", str(_folder(data)), "--tell", f"{api}/v1/webhooks"),
    ]

    async def answers() -> bool:
        return await asyncio.to_thread(is_ok, port, "/")

    env = {name: value for name, value in known.items() if not name.startswith((PREFIX, "TEMPORAL_"))}
    return Program("sandboxes", command, data / "logs" / "sandboxes.log", answers, env=env)


def _folder(data: Path) -> Path:
    return data / "sandboxes"
