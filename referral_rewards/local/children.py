"""Our own processes in the local stack, with the secrets that each of them gets.

All get the pepper, the keys of personal data and the public keys, and the database by the role of the API or of
workers. Only the API gets the signing key, the sealing keys and the webhook secrets of providers. Only the payouts
worker gets the credentials of the rails.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final, Literal, NamedTuple

from referral_rewards.config.stack import PREFIX, StackInfo, keys_folder
from referral_rewards.local import event_sources
from referral_rewards.local.embedded import HOST
from referral_rewards.local.keys import ensure_keys
from referral_rewards.local.sandbox import paypal, stripe, tremendous
from referral_rewards.local.supervisor import Program

_DATABASE_URL: Final = PREFIX + "DATABASE_URL"
_PROCESSES: Final[tuple[Literal["api", "worker"], ...]] = ("api", "worker")
SIGNING_KEY = PREFIX + "SIGNING_KEY"
#: The prefix of the sign-in settings, for the API only.
SIGN_IN = PREFIX + "OIDC_"
#: Whether a second factor is asked for, and the keys that seal its secrets, for the API only.
SECOND_FACTOR = PREFIX + "SECOND_FACTOR"
SEALING_KEYS = PREFIX + "SEALING_KEYS"
RAIL_SECRETS = PREFIX + "RAIL_"  # the prefix of the rails' credentials
#: The prefix of the settings of provider webhooks, for the API only.
WEBHOOK_SECRETS = PREFIX + "WEBHOOK_"
#: What the API alone needs of whoever signs in, and of whoever tells it something.
_HEARS: Final = (SIGN_IN, WEBHOOK_SECRETS)
#: How long a worker may take to end: longer than the grace that it gives its work in progress (`worker/build.py`).
_WORKER_SECONDS: Final = 45.0
#: The settings for sending letters and events, only for the worker that sends them.
TELLING = tuple(PREFIX + name for name in ("SMTP_URL", "MAIL_FOLDER", "WEBHOOKS"))
#: The keys of links to status pages, for the API that opens them and the worker that writes them into letters.
LINK_KEYS = PREFIX + "STATUS_LINK_KEYS"


class Secrets(NamedTuple):
    """The stack's secrets: from the environment where it sets them, else from the data folder."""

    pepper: str
    signing_key: str
    verify_keys: str
    sealing_keys: str
    personal_keys: str

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"Secrets(signing_key={self.signing_key!r}, verify_keys={self.verify_keys!r})"

    @classmethod
    def of(cls, data: Path, given: Mapping[str, str]) -> "Secrets":
        own = ensure_keys(data)
        return cls(
            given.get(PREFIX + "PEPPER", own.pepper.read_text()),
            given.get(SIGNING_KEY, str(own.signing_key)),
            given.get(PREFIX + "VERIFY_KEYS", str(own.verify_keys)),
            given.get(SEALING_KEYS, own.sealing.read_text()),
            given.get(PREFIX + "PERSONAL_KEYS", own.personal.read_text()),
        )


def environment(
    given: Mapping[str, str], data: Path, info: StackInfo, secrets: Secrets, *, embedded_temporal: bool
) -> dict[str, str]:
    """Return the environment that every child gets: `given` without the settings that only one of them gets."""
    withheld = (
        _DATABASE_URL,
        SIGNING_KEY,
        SIGN_IN,
        SECOND_FACTOR,
        SEALING_KEYS,
        RAIL_SECRETS,
        WEBHOOK_SECRETS,
        *TELLING,
        LINK_KEYS,
        *(("TEMPORAL_",) if embedded_temporal else ()),
    )
    common = {name: value for name, value in given.items() if not name.startswith(withheld)}
    common |= {
        PREFIX + "DATA": str(data),
        PREFIX + "API_URL": info.api,
        PREFIX + "PEPPER": secrets.pepper,
        PREFIX + "PERSONAL_KEYS": secrets.personal_keys,
        PREFIX + "VERIFY_KEYS": secrets.verify_keys,
    }
    if embedded_temporal:
        common |= {"TEMPORAL_ADDRESS": info.temporal, "TEMPORAL_NAMESPACE": "default"}
        common[PREFIX + "WEB_UI_URL"] = f"{info.web_ui}/namespaces/default"
    return common


class Watched(NamedTuple):
    """The ports for probes and metrics, and those of Temporal's client in the workers."""

    api: int
    referrals: int
    payouts: int
    referrals_temporal: int
    payouts_temporal: int


def children(
    data: Path,
    api_port: int,
    given: Mapping[str, str],
    common: Mapping[str, str],
    info: StackInfo,
    secrets: Secrets,
    watched: Watched,
) -> tuple[Program, Program, Program]:
    """Return the programs of the API and the two workers, each with the database's URL for its role, and with its port
    for probes and metrics."""
    serves, works = ({_DATABASE_URL: info.url_for(process)} for process in _PROCESSES)
    hears = {name: value for name, value in given.items() if name.startswith(_HEARS)}
    links = {name: value for name, value in given.items() if name == LINK_KEYS}
    rails = {name: value for name, value in given.items() if name.startswith(RAIL_SECRETS)}
    return (
        _api(
            data,
            api_port,
            {**common, **serves, **hears, **links, **_only_of_the_api(given, secrets), **_told_at(watched.api)},
        ),
        _worker(
            data,
            "referrals",
            {
                **common,
                **works,
                **links,
                **_telling(data, given),
                **_told_at(watched.referrals, watched.referrals_temporal),
            },
        ),
        _worker(data, "payouts", {**common, **works, **rails, **_told_at(watched.payouts, watched.payouts_temporal)}),
    )


def _told_at(operation: int, temporal: int | None = None) -> dict[str, str]:
    """Return the settings of the ports for probes and metrics. They are on loopback, whatever the environment says."""
    its = {PREFIX + "OPERATION_HOST": HOST, PREFIX + "OPERATION_PORT": str(operation)}
    return its if temporal is None else {**its, PREFIX + "TEMPORAL_METRICS": f"{HOST}:{temporal}"}


def _only_of_the_api(given: Mapping[str, str], secrets: Secrets) -> dict[str, str]:
    """Return what the API alone learns. A local stack asks nobody for a second factor, unless it is told to."""
    return {
        SIGNING_KEY: secrets.signing_key,
        SEALING_KEYS: secrets.sealing_keys,
        SECOND_FACTOR: given.get(SECOND_FACTOR) or "optional",
    }


def _telling(data: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the settings for letters and events from the environment; by default letters are written to a folder."""
    named = {name: given[name] for name in TELLING if given.get(name)}
    server, folder, _ = TELLING
    return named if named.keys() & {server, folder} else {**named, folder: str(data / "mail")}


def _api(data: Path, port: int, known: Mapping[str, str]) -> Program:
    async def answers() -> bool:
        return await asyncio.to_thread(is_ok, port, "/readyz")

    where = {PREFIX + "API_HOST": HOST, PREFIX + "API_PORT": str(port)}
    command = [sys.executable, "-m", "referral_rewards.api"]
    return Program("API", command, data / "logs" / "api.log", answers, env={**known, **where})


def _worker(data: Path, role: str, known: Mapping[str, str]) -> Program:
    ready_file = data / "run" / f"{role}.ready"

    async def polls() -> bool:
        return ready_file.exists()

    return Program(
        f"worker {role}",
        [sys.executable, "-m", "worker", "--role", role],
        data / "logs" / f"worker-{role}.log",
        polls,
        env={**known, PREFIX + "READY_FILE": str(ready_file)},
        before=lambda: ready_file.unlink(missing_ok=True),
        stop_seconds=_WORKER_SECONDS,
    )


def is_ok(port: int, path: str) -> bool:
    """Whether a server on loopback answers 200 at this URL. Blocking."""
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


#: Our credentials at each sandbox. `_HOOKS` holds its webhook secrets.
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
    """Return the environment with a sandbox configured for each provider that it does not configure itself, and with
    the sandboxes that sell unless it names sources of events."""
    lacking = [name for name in _GIVEN if not any(each.startswith(f"{RAIL_SECRETS}{name}_") for each in given)]
    found = dict(given)
    for name in lacking:
        found[f"{RAIL_SECRETS}{name}_URL"] = f"http://{HOST}:{port}/{name.lower()}"
        found |= {f"{RAIL_SECRETS}{name}_{part}": value for part, value in _GIVEN[name].items()}
    if lacking and not any(each.startswith(WEBHOOK_SECRETS) for each in given):
        found[f"{WEBHOOK_SECRETS}SECRETS"] = json.dumps({name.lower(): _HOOKS[name] for name in lacking})
        found[f"{WEBHOOK_SECRETS}PAYPAL_CERTIFICATES"] = f"http://{HOST}:{port}/paypal/v1/notifications/certs/"
        found[f"{WEBHOOK_SECRETS}PAYPAL_ROOTS"] = str(_folder(data) / "paypal-root.pem")
    if event_sources.SETTING not in given:
        found[event_sources.SETTING] = str(event_sources.written(data))
    return found


def sandboxes(data: Path, port: int, api: str, known: Mapping[str, str]) -> Program:
    """Return the program of the sandboxes, which report their events and their sales to the API."""
    event_sources.secrets_of(data)
    command = [
        *(sys.executable, "-m", "referral_rewards.local.sandbox", "--port", str(port)),
        *("--folder", str(_folder(data)), "--tell", f"{api}/v1/webhooks"),
        *("--sell", str(keys_folder(data))),
    ]

    async def answers() -> bool:
        return await asyncio.to_thread(is_ok, port, "/")

    env = {name: value for name, value in known.items() if not name.startswith((PREFIX, "TEMPORAL_"))}
    return Program("sandboxes", command, data / "logs" / "sandboxes.log", answers, env=env)


def _folder(data: Path) -> Path:
    return data / "sandboxes"
