"""`python -m bench [--only NAME] [--size N]`: measures, prints a table, writes a JSON.

A missed goal is reported with a profile, but is not an error: the exit code says whether the measurement worked.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    audits,
    backfill,
    cpu,
    cycle,
    deadlines,
    desk,
    idle,
    intake,
    judging,
    measures,
    outage,
    payouts,
    report,
    webhooks,
)
from referral_rewards.domain.errors import ReferralRewardsError

RESULTS = Path(__file__).parent / "results"
SIZES = {
    "cpu": 80,
    "intake": 20_000,
    "judging": 1_000_000,
    "desk": 1_000_000,
    "measures": 1_000_000,
    "payouts": 300,
    "cycle": 100_000,
    "backfill": 20_000,
    "audits": 2_000,
    "outage": 150,
    "deadlines": 1_000,
    "idle": 10_000,
    "webhooks": 1_000,
}
MEASURES = {
    "cpu": cpu.measure,
    "intake": intake.measure,
    "judging": judging.measure,
    "desk": desk.measure,
    "measures": measures.measure,
    "payouts": payouts.measure,
    "cycle": cycle.measure,
    "backfill": backfill.measure,
    "audits": audits.measure,
    "outage": outage.measure,
    "deadlines": deadlines.measure,
    "idle": idle.measure,
    "webhooks": webhooks.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measures against the goals of the specification.")
    parser.add_argument("--only", choices=tuple(SIZES), help="measure this alone")
    sizes = "how much of it is measured; by default " + ", ".join(f"{name} {size:,}" for name, size in SIZES.items())
    parser.add_argument("--size", type=int, help=sizes)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder that the JSON goes to")
    chosen = parser.parse_args(arguments)
    names = [chosen.only] if chosen.only else list(SIZES)
    measured = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="referrals-bench-", ignore_cleanup_errors=True) as folder:
            print(f"measuring {name} …", flush=True)
            try:
                measured.append(asyncio.run(MEASURES[name](Path(folder), chosen.size or SIZES[name])))
            except (ReferralRewardsError, RuntimeError, OSError, TimeoutError) as error:
                print(f"bench: {name}: {str(error) or type(error).__name__}")
                return 1
    print(f"kept in {report.keep(chosen.results, '-'.join(names), datetime.now(UTC), measured)}")
    report.show(measured)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
