"""All three providers on one port, under ``/stripe``, ``/paypal`` and ``/tremendous``, with the real time; and under
``/shop`` a shop whose sales become webhooks (`shops/till.py`), if it is given what signs them.

Every account can be paid, except accounts that end in ``_closed``. ``POST /control/{provider}`` sets their behaviour:
``{"poor": true, "becomes": "UNCLAIMED", "fail": ["REPLY_LOST"]}``. ``{"move": [name, status]}`` changes the status of a
PayPal batch or of a Tremendous order (by our key).
"""

import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Final

from referral_rewards.local.sandbox import paypal, stripe, tremendous, webhooks
from referral_rewards.local.sandbox.certificates import certificates
from referral_rewards.local.sandbox.provider import Fault, Provider, WallClock, encoded
from referral_rewards.local.sandbox.shops.till import Till
from referral_rewards.local.sandbox.webhooks import Webhooks
from referral_rewards.loopback import Message, Receive, Send, body_of, reply

_CERTIFICATE: Final = "/v1/notifications/certs/CERT-of-the-sandbox"
_BOOKS: Final = "books.json"


class Everybody(Container[str]):
    """Contains every account that is not closed."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not name.endswith("_closed")


class Sandbox:
    """The ASGI application. With a folder, the providers' state is kept between runs. With ``tells``, events are posted
    to that URL followed by the source's name."""

    def __init__(
        self,
        own_url: str,
        *,
        folder: Path | None = None,
        tells: str | None = None,
        before_reply: bool = False,
        twice: bool = False,
        reordered: bool = False,
        till: Till | None = None,
    ) -> None:
        self._till = till
        clock = WallClock()
        by_stripe = stripe.Stripe(clock)
        by_stripe.accounts = by_stripe.customers = Everybody()
        self.providers: Mapping[str, Provider] = {
            "stripe": by_stripe,
            "paypal": paypal.PayPal(clock),
            "tremendous": tremendous.Tremendous(clock),
        }
        self._books = folder / _BOOKS if folder else None
        if self._books is not None and self._books.is_file():
            for name, books in json.loads(self._books.read_text()).items():
                self.providers[name].restore(books)
        made = certificates(folder)
        self._certificate = made.shown
        if tells is not None:
            signing = {
                "stripe": webhooks.as_stripe(stripe.WEBHOOK_SECRET),
                "paypal": webhooks.as_paypal(paypal.WEBHOOK_ID, made.key, f"{own_url}/paypal{_CERTIFICATE}"),
                "tremendous": webhooks.as_tremendous(tremendous.WEBHOOK_KEY),
            }
            for name, sign in signing.items():
                self.providers[name].webhooks = Webhooks(
                    f"{tells}/{name}", sign, clock, before_reply=before_reply, twice=twice, reordered=reordered
                )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["raw_path"].decode("ascii")
        first, rest = path.removeprefix("/").partition("/")[::2]
        if path == f"/paypal{_CERTIFICATE}":
            await reply(send, 200, self._certificate, **{"content-type": "application/x-pem-file"})
        elif first == "control" and rest in self.providers:
            await self._controlled(self.providers[rest], scope, receive, send)
        elif first == "shop" and self._till is not None:
            await self._till(rest, scope, receive, send)
        elif first in self.providers:
            provider = self.providers[first]
            await provider({**scope, "raw_path": f"/{rest}".encode(), "path": f"/{rest}"}, receive, send)
            self._keep(provider)
        else:
            await reply(send, 200 if path == "/" else 404, b'{"providers": ["stripe", "paypal", "tremendous"]}')

    async def _controlled(self, provider: Provider, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            return await reply(send, 200, encoded(provider.books()))
        try:
            await _set(provider, json.loads(await body_of(receive)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return await reply(send, 400, json.dumps({"wrong": str(error)}).encode())
        self._keep(provider)
        return await reply(send, 204)

    def _keep(self, provider: Provider) -> None:
        # Only tests read `asked`; in a process that runs for weeks it would grow without limit.
        provider.asked.clear()
        provider.answered.clear()
        if self._books is not None:
            fresh = self._books.with_suffix(".new")
            fresh.write_bytes(encoded({name: each.books() for name, each in self.providers.items()}))
            fresh.replace(self._books)


async def _set(provider: Provider, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        match name:
            case "fail":
                provider.heal()
                provider.fail(*(Fault[each] for each in value))
            case "poor" if isinstance(value, bool):
                provider.poor = value
            case "becomes" if isinstance(provider, paypal.PayPal | tremendous.Tremendous):
                provider.becomes = str(value)
            case "move" if isinstance(provider, paypal.PayPal | tremendous.Tremendous):
                provider.move(*value)
                await provider.told()
            case _:
                raise ValueError(f"{name} can't be set so")
