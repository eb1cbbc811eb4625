"""A referral site of one's own, in one file: it enrols a referrer, tells of an invitation and its claim, and asks where
the referral stands. It uses the public API alone, and nothing but Python's standard library.

    REFERRALS_API_URL=http://127.0.0.1:8700 REFERRALS_TOKEN=… python examples/referral_site.py acme-friends

The token is that of a service: `referrals user add my-site --scope events:write --scope referrals:read
--source my-site --type referrer.enrolled --type referral.sent --type referral.claimed --program acme-friends`.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

SOURCE = "my-site"
PATIENCE_SECONDS = 120.0


class NotTold(Exception):
    """The API refused a fact, and says why: sending it again would change nothing."""


def asked(method: str, path: str, body: Any = None) -> Any:
    """Return what the API answers. Here one would wait and try again whatever is not a refusal."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {os.environ['REFERRALS_TOKEN']}", "Content-Type": "application/json"}
    request = Request(os.environ["REFERRALS_API_URL"] + path, data, headers, method=method)  # noqa: S310 (ours)
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def reason(refusal: HTTPError) -> str:
    """Return the reason that a refusal of the API gives in its problem details (RFC 9457)."""
    return str(json.load(refusal)["detail"])


def told(event_id: str, kind: str, data: dict[str, Any]) -> str | None:
    """Tell a fact until it is acknowledged, and return the referral that it names or begins.

    Its id says what happened, not which try it is: the same fact told twice is one. A site keeps it until then.
    """
    now = datetime.now(UTC).isoformat()
    fact = {"specversion": "1.0", "id": event_id, "source": SOURCE, "type": kind, "time": now, "data": data}
    for pause in (0.5, 1, 2, 4, 8, 0):
        try:
            (outcome,) = asked("POST", "/v1/events", fact)["facts"]
            return outcome.get("referral")
        except HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise NotTold(f"{kind}: {reason(error)}") from None
        except URLError:
            pass  # not reached: nobody knows whether it came, so the very same fact is told again
        time.sleep(pause)
    raise NotTold(f"{kind}: the API did not answer")


def standing(referral: str) -> dict[str, Any]:
    """Return where a referral stands, once it was judged for the first time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            found: dict[str, Any] = asked("GET", f"/v1/standings/{quote(referral, safe='')}")
        except HTTPError as error:
            if error.code != 404:  # it is told, and not there yet
                raise
        else:
            if found["status"] is not None:
                return found
        time.sleep(0.2)
    raise NotTold("nobody judged it: does a worker run?")


def main() -> int:
    """Walk through the steps of a site; return the exit code."""
    if len(sys.argv) != 2 or not all(os.environ.get(name) for name in ("REFERRALS_API_URL", "REFERRALS_TOKEN")):
        print("set REFERRALS_API_URL and REFERRALS_TOKEN, and name the program: acme-friends", file=sys.stderr)
        return 2
    program = sys.argv[1]
    try:
        offer = asked("GET", f"/v1/offers/{quote(program, safe='')}")
        print(f"{offer['name']}: a friend gets {offer['for_referee']}")
        run = f"{int(time.time()):x}"  # other people each time it is run
        mira, sent_id = f"c-mira-{run}", f"my-{run}"
        enrolled = {"referrer": mira, "program": program, "code": f"MIRA-{run}", "customer": mira}
        told(f"enrolled {mira}", "referrer.enrolled", enrolled)
        sent = {"referral": sent_id, "program": program, "referrer": mira, "channel": "email"}
        told(f"sent {sent_id}", "referral.sent", {**sent, "referee": {"email": f"noor-{run}@example.com"}})
        claim = {"program": program, "referrer_code": f"mira {run}", "channel": "link", "consent": True}
        by_link = told(f"claimed {run}", "referral.claimed", {**claim, "referee": {"email": f"sam-{run}@example.com"}})
        assert by_link is not None
        for referral in (sent_id, by_link):
            found = standing(referral)
            print(f"{found['channel']}: {found['heading']}. {found['why']}")
    except NotTold as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except HTTPError as refusal:
        print(reason(refusal), file=sys.stderr)
        return 1
    except URLError as error:
        print(f"{os.environ['REFERRALS_API_URL']}: not reached: {error.reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
