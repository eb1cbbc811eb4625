"""`python -m referral_rewards.local.sandbox --port N`: runs all sandboxes in one process, on loopback only."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from referral_rewards.local.sandbox.app import Sandbox
from referral_rewards.local.sandbox.shops.delivery import WEBHOOKS
from referral_rewards.local.sandbox.shops.till import Till

_HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="sandbox", description="Test providers that pay nobody: name them with REFERRALS_RAIL_…_URL."
    )
    parser.add_argument("--port", type=int, default=8704, help="port on loopback (default: 8704)")
    parser.add_argument("--host", default=_HOST, help="address to bind; in a container 0.0.0.0 (default: loopback)")
    parser.add_argument("--folder", type=Path, help="where what the providers know outlives the process")
    parser.add_argument("--tell", metavar="URL", help="who hears of events: …/v1/webhooks, without the source")
    parser.add_argument("--named", metavar="URL", help="how others reach this process; its port on loopback, if not")
    parser.add_argument("--before-reply", action="store_true", help="tell of an event before the answer is given")
    parser.add_argument("--twice", action="store_true", help="tell of each event two times")
    parser.add_argument("--reordered", action="store_true", help="tell of the newest event first")
    parser.add_argument("--sell", type=Path, metavar="KEYS", help="sell at /shop, signing with the secrets in KEYS")
    asked = parser.parse_args(arguments)
    if asked.sell and not asked.tell:
        parser.error("--sell needs --tell: what is sold is told of")
    sandbox = Sandbox(
        asked.named or f"http://{_HOST}:{asked.port}",
        folder=asked.folder,
        tells=asked.tell and asked.tell.rstrip("/"),
        before_reply=asked.before_reply,
        twice=asked.twice,
        reordered=asked.reordered,
        till=Till.at(asked.tell.rstrip("/").removesuffix(WEBHOOKS), asked.sell) if asked.sell else None,
    )
    uvicorn.run(sandbox, host=asked.host, port=asked.port, lifespan="off", log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
