"""The certificates that PayPal signs its events with: fetched from PayPal only, verified up to a root, and cached."""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from referral_rewards.domain.errors import NotGenuine, OutsideSilent
from referral_rewards.rails.asking import NoReply, exchange

#: The names that a certificate for events is issued to, live and in PayPal's sandbox.
NAMES: Final = ("messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
_KEPT: Final = timedelta(hours=12)
#: How long a failed address is not fetched again, so that forged events cannot make us send requests at their pace. An
#: address that is not PayPal's stays so; one that does not answer may answer soon.
_REFUSED: Final = timedelta(minutes=10)
_SILENT: Final = timedelta(minutes=1)
#: How many failed addresses are remembered. While there are this many, no unknown address is fetched.
_ADDRESSES_MAX: Final = 20
_CERTIFICATES_MAX: Final = 10


_Shown = rsa.RSAPublicKey | NotGenuine | OutsideSilent


@dataclass(frozen=True, slots=True)
class _Seen:
    until: datetime
    shown: _Shown


class Certificates:
    """The certificates at addresses that begin with ``prefix``, if they lead to one of the roots."""

    def __init__(self, client: httpx.AsyncClient, prefix: str, roots: Path | None = None) -> None:
        """``roots`` is a PEM file; without one, the roots that TLS clients trust by default count.

        Raises:
            OSError, ValueError: if no certificate can be read from ``roots``.
        """
        self._client = client
        self._prefix = prefix
        self._store = Store(x509.load_pem_x509_certificates(roots.read_bytes()) if roots else _everybodys())
        self._seen: dict[str, _Seen] = {}
        #: The requests in progress by address. Other callers wait for the same answer.
        self._asking: dict[str, asyncio.Task[_Shown]] = {}
        #: The few addresses that have shown a certificate of PayPal's.
        self._genuine: set[str] = set()

    async def key_at(self, url: str, now: datetime) -> rsa.RSAPublicKey:
        """Return the public key of the certificate at an address.

        Raises:
            NotGenuine: if the address or the certificate is not PayPal's.
            OutsideSilent: if the certificate cannot be fetched now.
        """
        if not (url.startswith(self._prefix) and _NAME.fullmatch(url[len(self._prefix) :])):
            raise NotGenuine(f"PAYPAL-CERT-URL is not under {self._prefix}")
        self._seen = {name: each for name, each in self._seen.items() if each.until > now}
        if url in self._seen:
            shown = self._seen[url].shown
        else:
            # One caller may be cancelled; the others still get the answer.
            shown = await asyncio.shield(self._asked(url, now))
        if isinstance(shown, NotGenuine | OutsideSilent):
            raise shown.with_traceback(None)  # a cached exception would keep all its frames alive
        return shown

    def _asked(self, url: str, now: datetime) -> asyncio.Task[_Shown]:
        """Return the request in progress for this address, or start one.

        Raises:
            OutsideSilent: if the address is unknown and too many others have shown no certificate of PayPal's.
        """
        if url not in self._asking:
            others = self._seen.keys() | self._asking.keys()
            if url not in self._genuine and len(others - self._genuine) >= _ADDRESSES_MAX:
                raise OutsideSilent("too many certificates are asked for")
            self._asking[url] = asyncio.create_task(self._ask(url, now))
        return self._asking[url]

    async def _ask(self, url: str, now: datetime) -> _Shown:
        try:
            shown = await self._fetched(url, now)
        finally:
            del self._asking[url]
        match shown:
            case NotGenuine():
                kept = _REFUSED
            case OutsideSilent():
                kept = _SILENT
            case _:
                kept = _KEPT
                self._genuine.add(url)
        self._seen[url] = _Seen(now + kept, shown)
        return shown

    async def _fetched(self, url: str, now: datetime) -> _Shown:
        try:
            status, body, _ = await exchange(self._client, "GET", url, headers={})
        except NoReply as error:
            return OutsideSilent(f"PayPal does not show its certificate: {error}")
        if status != 200:
            return OutsideSilent(f"PayPal does not show its certificate: it answered {status}")
        return self._verified(body, now)

    def _verified(self, pem: bytes, now: datetime) -> rsa.RSAPublicKey | NotGenuine:
        try:
            shown, *between = x509.load_pem_x509_certificates(pem)[:_CERTIFICATES_MAX]
        except ValueError:
            return NotGenuine("what stands at PAYPAL-CERT-URL is no certificate")
        for name in NAMES:
            verifier = PolicyBuilder().store(self._store).time(now).build_server_verifier(x509.DNSName(name))
            try:
                verifier.verify(shown, between)
            except VerificationError:
                continue
            key = shown.public_key()
            if isinstance(key, rsa.RSAPublicKey):
                return key
        return NotGenuine(
            "the certificate at PAYPAL-CERT-URL is not PayPal's, not valid now, or leads to no trusted root"
        )


def _everybodys() -> list[x509.Certificate]:
    """Return the roots that our HTTP client trusts for TLS."""
    return [x509.load_der_x509_certificate(each) for each in httpx.create_ssl_context().get_ca_certs(binary_form=True)]
