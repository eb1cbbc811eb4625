"""A shop to buy at by hand: a page for a browser, and forms for `curl`. It sells through Shopify or Stripe Checkout.

``POST /shop/orders`` takes ``email``, ``amount``, and if wished ``by`` (``shop``, ``checkout``), ``code`` and
``program``; ``POST /shop/refunds`` takes ``order``, and if wished ``amount``. What was sold is forgotten at the end of
the process: then nothing can be given back of it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import httpx

from referral_rewards.local.sandbox.shops.delivery import SHOPIFY, STRIPE, Delivery, NotTaken, deliver, signing
from referral_rewards.local.sandbox.shops.sale import Sale, Seller
from referral_rewards.local.sandbox.shops.shopify import Shopify
from referral_rewards.local.sandbox.shops.stripe_checkout import StripeCheckout
from referral_rewards.loopback import Message, Receive, Send, body_of, reply

_AMOUNT: Final = re.compile(r"\d{1,6}(\.\d{2})?", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+", re.ASCII)
_BY: Final = {Seller.SHOP: "the shop (Shopify)", Seller.CHECKOUT: "Stripe Checkout"}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Acme, a sandbox shop</title></head><body><main>
<h1>Acme, a sandbox shop</h1>
<p role="status">{told}</p>
<form method="post" action="/shop/orders">
<p><label>Your email address<br><input type="email" name="email" value="{email}" required></label></p>
<p><label>Goods for, in USD<br><input name="amount" value="80.00" inputmode="decimal" required></label></p>
<p><label>Sold by<br><select name="by">{choices}</select></label></p>
<input type="hidden" name="code" value="{code}"><input type="hidden" name="program" value="{program}">
<p><button>Buy</button></p></form>
{bought}
<p>Nothing is sold here. Each form makes the webhooks that a real shop would send.</p>
</main></body></html>
"""
_RETURN: Final = """<form method="post" action="/shop/refunds"><input type="hidden" name="order" value="{order}">
<p>Order {order}, {amount} USD, {by} <button>Give it back</button></p></form>
"""


class WrongForm(Exception):
    """A form that can't be taken, and why, in words."""


class Till:
    """Sells for as long as the process lives. ``api`` is the address that webhooks go to."""

    def __init__(self, api: str, secrets: Mapping[str, str]) -> None:
        self._api, self._signs = api, signing(secrets)
        self._shop, self._checkout = Shopify(), StripeCheckout()
        self._sold: dict[int, tuple[Sale, Seller]] = {}
        self._last = 0

    @classmethod
    def at(cls, api: str, keys: Path) -> "Till":
        """Return the till with the secrets of a stack's folder of keys."""
        return cls(api, {name: (keys / f"webhooks-{name}").read_text() for name in (SHOPIFY, STRIPE)})

    async def __call__(self, path: str, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request below ``/shop``."""
        query = dict(parse_qsl(scope["query_string"].decode()))
        if scope["method"] != "POST":
            return await self._show(scope, send, 200, "Welcome.", query) if not path else await reply(send, 404)
        form = dict(parse_qsl((await body_of(receive)).decode()))
        try:
            told = await self._took(path, form)
        except WrongForm as wrong:
            return await self._show(scope, send, 422, str(wrong), form)
        except (NotTaken, httpx.HTTPError) as error:
            return await self._show(scope, send, 502, f"The API did not take it: {error}", form)
        return await self._show(scope, send, 200, told, form)

    async def _took(self, path: str, form: Mapping[str, str]) -> str:
        if path == "orders":
            return await self._sell(form)
        if path == "refunds":
            return await self._give_back(form)
        raise WrongForm("There is /shop/orders and /shop/refunds.")

    async def _sell(self, form: Mapping[str, str]) -> str:
        word = form.get("by", Seller.SHOP)
        if word not in set(Seller):
            raise WrongForm(f"by: {word!r} is none of {', '.join(Seller)}.")
        by = Seller(word)
        if not _EMAIL.fullmatch(form.get("email", "")):
            raise WrongForm("email: write the address that the friend gave at the front door.")
        at, goods = datetime.now(UTC), _amount(form.get("amount", "80.00"))
        code, program = form.get("code") or None, form.get("program") or None
        sale = Sale(self._number(at), at, form["email"], goods, code=code, program=program)
        told = self._shop.sell(sale) if by is Seller.SHOP else self._checkout.sell(sale)
        await deliver(self._api, told, self._signs)
        self._sold[sale.order] = sale, by
        return f"Order {sale.order} is paid: {goods} USD, told by {_BY[by]}."

    async def _give_back(self, form: Mapping[str, str]) -> str:
        order = form.get("order", "")
        if not order.isdecimal() or int(order) not in self._sold:
            raise WrongForm(f"order: {order!r} was not sold here since the sandboxes were started.")
        sale, by = self._sold[int(order)]
        amount, at = _amount(form.get("amount", str(sale.goods))), datetime.now(UTC)
        number = self._number(at)
        told: list[Delivery] = (
            self._shop.give_back(sale.order, number, amount, Decimal(0), at)
            if by is Seller.SHOP
            else self._checkout.give_back(sale.order, number, amount, sale.currency, at)
        )
        await deliver(self._api, told, self._signs)
        return f"{amount} USD of order {order} are given back, told by {_BY[by]}."

    def _number(self, at: datetime) -> int:
        """Return a number that none had before, not even before a new start of the process."""
        self._last = max(self._last + 1, int(at.timestamp() * 10))
        return self._last

    async def _show(self, scope: Message, send: Send, status: int, told: str, form: Mapping[str, str]) -> None:
        wants = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        if b"text/html" not in wants:
            return await reply(send, status, f"{told}\n".encode(), **{"content-type": "text/plain; charset=utf-8"})
        choices = "".join(f'<option value="{each}">{words}</option>' for each, words in _BY.items())
        said = {name: escape(form.get(name, "")) for name in ("email", "program")}
        code = escape(form.get("code") or form.get("ref") or "")
        bought = "".join(
            _RETURN.format(order=order, amount=sale.goods, by=_BY[by])
            for order, (sale, by) in reversed(self._sold.items())
        )
        page = _PAGE.format(told=escape(told), choices=choices, code=code, bought=bought, **said)
        return await reply(send, status, page.encode(), **{"content-type": "text/html; charset=utf-8"})


def _amount(text: str) -> Decimal:
    if not _AMOUNT.fullmatch(text):
        raise WrongForm(f"amount: {text!r} is no amount such as 80.00.")
    return Decimal(text).quantize(Decimal("0.01"))
