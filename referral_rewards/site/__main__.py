"""`python -m referral_rewards.site`: the front door, a process of its own without authority and without money."""

from referral_rewards import interrupts

if __name__ == "__main__":
    interrupts.end_at_once()

import argparse
import sys
from datetime import UTC, datetime, timedelta

import uvicorn

from referral_rewards import observability
from referral_rewards.config.site import SiteSettings
from referral_rewards.domain.errors import BadInput
from referral_rewards.site.app import create_app
from referral_rewards.site.forgetting import forget
from referral_rewards.site.parts import Parts
from referral_rewards.site.rules.links import Link, expiring


def main() -> int:
    """Serve until SIGTERM or SIGINT, print a signed link, or forget a person; return the exit code."""
    asked = _arguments().parse_args()
    try:
        settings = SiteSettings.load(host=asked.host, port=asked.port)
        if asked.link is not None:
            sys.stdout.write(f"{enrolment_link(settings, asked.program, asked.link, timedelta(days=asked.days))}\n")
            return 0
        if asked.forget is not None or asked.forget_email:
            deleted = forget(settings, asked.forget, by_email=asked.forget_email)
            sys.stdout.write(f"{deleted} rows deleted\n")
            return 0
        parts = Parts.of(settings)
    except BadInput as error:
        for problem in error.problems:
            sys.stderr.write(f"site: {problem}\n")
        return 2
    observability.configure_logging(settings)
    interrupts.raise_again()
    # No line of a request: its address may name an invitation, and its sender is a person.
    uvicorn.run(
        create_app(parts),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=10,
    )
    return interrupts.INTERRUPTED


def enrolment_link(settings: SiteSettings, program: str, customer: str, lasts: timedelta) -> str:
    """Return a link by which a customer enrols or comes back, as the company's own system makes it."""
    link = Link(program, customer, expiring(datetime.now(UTC), lasts))
    return f"{settings.home_url()}/enrol?{link.query(settings.link_secret_bytes[0])}"


def _arguments() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="referrals site")
    made.add_argument("--host")
    made.add_argument("--port", type=int)
    made.add_argument("--link", metavar="CUSTOMER")
    made.add_argument("--forget", metavar="CUSTOMER")
    made.add_argument("--forget-email", action="store_true")
    made.add_argument("--program", default="")
    made.add_argument("--days", type=int, default=1)
    return made


if __name__ == "__main__":
    sys.exit(main())
