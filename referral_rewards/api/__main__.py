"""`python -m referral_rewards.api`: the HTTP API, the only process that can sign decisions."""

from referral_rewards import interrupts

if __name__ == "__main__":
    interrupts.end_at_once()

import asyncio
import sys

import uvicorn

from models.session import UNREACHABLE
from referral_rewards import observability
from referral_rewards.api.app import create_app
from referral_rewards.api.dependencies import Parts, check_secrets
from referral_rewards.api.operating import told
from referral_rewards.api.slow_clients import Patience, impatient
from referral_rewards.config.settings import Settings
from referral_rewards.domain.errors import BadInput


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        settings = Settings.load()
        parts = Parts.of(settings)
        asyncio.run(check_secrets(parts))
    except BadInput as error:
        for problem in error.problems:
            sys.stderr.write(f"api: {problem}\n")
        return 2
    except UNREACHABLE as error:
        sys.stderr.write(f"api: the database does not answer: {(str(error).splitlines() or [''])[0]}\n")
        return 1
    observability.configure_logging(settings)
    interrupts.raise_again()
    try:
        if not asyncio.run(serve(settings, parts)):
            return 1
    except BadInput as error:
        for problem in error.problems:
            sys.stderr.write(f"api: {problem}\n")
        return 2
    except KeyboardInterrupt:
        pass
    # SIGTERM ends the process inside, once everything is served; only after Ctrl-C it comes back.
    return interrupts.INTERRUPTED


async def serve(settings: Settings, parts: Parts) -> bool:
    """Serve the API, and beside it probes and metrics on a port of their own, if one is set. Return whether it ever
    could.

    Raises:
        BadInput: if that port is taken.
    """
    # Access lines carry paths with ids only, but one a request says little; events of our own say what happened.
    patience = Patience(settings.api_head_seconds, settings.api_body_seconds, settings.api_answer_seconds)
    config = uvicorn.Config(
        create_app(parts, patience),
        http=impatient(patience),
        limit_concurrency=settings.api_connections_max,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarded headers (client address and scheme) are only trusted from a configured proxy.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=10,
    )
    async with told(parts, settings.operation_host, settings.operation_port):
        server = uvicorn.Server(config)
        await server.serve()
        return server.started


if __name__ == "__main__":
    sys.exit(main())
