"""`python -m referral_rewards.api`: the HTTP API, the only process that can sign decisions."""

import sys

import uvicorn

from referral_rewards import observability
from referral_rewards.api.app import create_app
from referral_rewards.api.dependencies import Parts
from referral_rewards.config.settings import Settings
from referral_rewards.domain.errors import BadInput


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        settings = Settings.load()
        parts = Parts.of(settings)
    except BadInput as error:
        for problem in error.problems:
            sys.stderr.write(f"api: {problem}\n")
        return 2
    observability.configure_logging(settings)
    # Access logs would contain only paths with ids, one line per request; our own events say what happened.
    uvicorn.run(
        create_app(parts),
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
