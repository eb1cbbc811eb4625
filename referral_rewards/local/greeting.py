"""The ports of a local stack, and what whoever starts one reads about them."""

import shlex
from pathlib import Path
from typing import NamedTuple

from referral_rewards.config.stack import PREFIX, StackInfo
from referral_rewards.local import front_door
from referral_rewards.local.embedded import HOST


class Ports(NamedTuple):
    """The ports of a stack, in sequence from its base. The last five are for probes and metrics: of each process of
    ours, and of Temporal's client in the workers."""

    api: int
    web_ui: int
    temporal: int
    postgres: int
    sandboxes: int
    site: int
    api_operation: int
    referrals_operation: int
    payouts_operation: int
    referrals_temporal: int
    payouts_temporal: int

    @classmethod
    def at(cls, base: int) -> "Ports":
        return cls(*range(base, base + len(cls._fields)))


def greeting(info: StackInfo, ports: Ports, data: Path, seconds: float, ephemeral: bool) -> str:
    """Return what everybody reads who has started a stack."""
    kept = "is deleted at the end" if ephemeral else "is kept for the next start"
    return "\n".join(
        [
            f"ready in {seconds:.1f} s; Ctrl-C stops everything",
            f"  API and approvals  {info.api}  (OpenAPI at {info.api}/docs)",
            *([f"  Temporal Web UI    {info.web_ui}"] if info.web_ui else []),
            f"  Temporal           {info.temporal}",
            f"  probes, metrics    http://{HOST}:{ports.api_operation} (API), :{ports.referrals_operation} and "
            f":{ports.payouts_operation} (workers)",
            f"  data               {data}  ({kept}; logs are in {data / 'logs'})",
            *(
                [f"  other commands find it by {PREFIX}DATA={shlex.quote(str(data))}"]
                if data != Path(".local").resolve()
                else []
            ),
        ]
    )


def for_customers(data: Path, ports: Ports, ready: str, shop: str | None) -> str:
    """Return where whoever tries it goes as a customer: ``ready`` is a referrer's own page, ``shop`` where to buy."""
    lines = [
        "as a customer and as a friend, also on a phone's screen:",
        f"  take part          {front_door.link(data, ports.site)}",
        f"  a referrer's page  {ready}",
    ]
    if shop is not None:
        lines.append(f"  a shop to buy at   {shop}  (or: curl -d email=ADDRESS -d amount=80.00 {shop}/orders)")
    return "\n".join(lines)
