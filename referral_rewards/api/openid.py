"""The OpenID Connect client: sends users to the provider and verifies what it says about them.

Authorization code with PKCE (S256), state and nonce. An ID token is valid if a key that the provider publishes signed
it with an asymmetric algorithm, for us, now, and for the sign-in that was begun (OpenID Connect Core 1.0, §3.1.3.7).
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from referral_rewards.domain.errors import NotSignedIn
from referral_rewards.domain.programs.terms import Role

#: Algorithms with which only the provider can sign: never `none`, never one with a shared key.
ASYMMETRIC: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})
#: How far the provider's clock and ours may differ.
LEEWAY: Final = timedelta(seconds=60)
_TIMEOUT_SECONDS: Final = 5.0
_SUBJECT_LENGTH_MAX: Final = 255


class ProviderRefused(NotSignedIn):
    """The provider's response does not prove a user's identity; ``why`` is a code for the audit log."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"signing in with the provider did not work ({why.replace('_', ' ')}); begin once more")


@dataclass(frozen=True, slots=True)
class Said:
    """What a provider says about a user: an opaque subject, a name if there is one, a verified address, and claims."""

    subject: str
    claims: Mapping[str, Any]

    @property
    def verified_email(self) -> str | None:
        """The email address, if the provider has verified it."""
        email = self.claims.get("email")
        return email if isinstance(email, str) and self.claims.get("email_verified") is True else None


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider, with our client id and secret there. ``roles_claim`` None: roles come from our own register."""

    issuer: str
    client_id: str
    redirect_uri: str
    client_secret: str | None = field(default=None, repr=False)
    name_claim: str = "preferred_username"
    roles_claim: str | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The provider's host, by which people know it."""
        return urlsplit(self.issuer).netloc

    async def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return the address to which a browser is sent to sign in.

        Raises:
            ProviderRefused: if the provider can't be reached.
        """
        async with _client() as http:
            found = await self._discovered(http)
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        where = str(found["authorization_endpoint"])
        return f"{where}{'&' if urlsplit(where).query else '?'}{urlencode(asked)}"

    async def said(self, code: str, *, verifier: str, nonce: str, now: datetime) -> Said:
        """Return what the provider says about the user who came back with this code.

        Raises:
            ProviderRefused: naming what is wrong.
        """
        async with _client() as http:
            found = await self._discovered(http)
            tokens = await self._exchanged(http, found, code, verifier)
            token = tokens.get("id_token")
            if not isinstance(token, str):
                raise ProviderRefused("no_id_token")
            allowed = ASYMMETRIC & set(found.get("id_token_signing_alg_values_supported") or ["RS256"])
            keys = await _fetched(http, str(found["jwks_uri"]))
            claims = believed(token, keys, allowed, issuer=self.issuer, client_id=self.client_id, nonce=nonce, now=now)
            if self._lacks_something(claims) and (more := found.get("userinfo_endpoint")):
                claims = {**await _more(http, str(more), tokens, claims["sub"]), **claims}
        return Said(claims["sub"], claims)

    def roles_of(self, said: Said) -> frozenset[Role] | None:
        """Return the roles that the provider gives a user; None if it does not decide about roles."""
        if self.roles_claim is None:
            return None
        value = _at(said.claims, self.roles_claim)
        told = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        known = self.roles or {role.value: role for role in Role}
        return frozenset(known[each] for each in told if isinstance(each, str) and each in known)

    def name_of(self, said: Said) -> str:
        """Return the user's preferred name from the provider; empty if there is none."""
        value = said.claims.get(self.name_claim)
        return value if isinstance(value, str) else ""

    def _lacks_something(self, claims: Mapping[str, Any]) -> bool:
        wanted = [self.name_claim, *([self.roles_claim] if self.roles_claim else [])]
        return any(_at(claims, each) is None for each in wanted)

    async def _discovered(self, http: httpx.AsyncClient) -> Mapping[str, Any]:
        found = await _fetched(http, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise ProviderRefused("another_issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _safe(found.get(name)):
                raise ProviderRefused("discovery_incomplete")
        return found

    async def _exchanged(
        self, http: httpx.AsyncClient, found: Mapping[str, Any], code: str, verifier: str
    ) -> Mapping[str, Any]:
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": verifier,
        }
        if self.client_secret is None:
            return await _answered(http.post(str(found["token_endpoint"]), data=asked), "code_refused")
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" not in methods:
            asked["client_secret"] = self.client_secret
            return await _answered(http.post(str(found["token_endpoint"]), data=asked), "code_refused")
        basic = httpx.BasicAuth(self.client_id, self.client_secret)
        return await _answered(http.post(str(found["token_endpoint"]), data=asked, auth=basic), "code_refused")


def believed(
    token: str,
    keys: Mapping[str, Any],
    allowed: Collection[str],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    now: datetime,
) -> dict[str, Any]:
    """Verify an ID token and return its claims.

    Raises:
        ProviderRefused: naming what is wrong.
    """
    try:
        # Only the provider's public keys: with a shared key, anyone who knows it could sign for the provider.
        listed: Any = {"keys": [key for key in keys.get("keys", ()) if key.get("kty") in ("RSA", "EC")]}
        claims = jwt.decode(token, KeySet.import_key_set(listed), algorithms=list(allowed)).claims
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise ProviderRefused("signature_wrong") from None
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer:
        raise ProviderRefused("another_issuer")
    if client_id not in audiences or claims.get("azp", client_id) != client_id:
        raise ProviderRefused("for_another_client")
    if len(audiences) > 1 and "azp" not in claims:
        raise ProviderRefused("for_another_client")
    moment = now.timestamp()
    if not _before(moment - LEEWAY.total_seconds(), claims.get("exp")):
        raise ProviderRefused("token_expired")
    if not _before(claims.get("iat"), moment + LEEWAY.total_seconds()):
        raise ProviderRefused("token_from_the_future")
    if "nbf" in claims and not _before(claims["nbf"], moment + LEEWAY.total_seconds()):
        raise ProviderRefused("token_from_the_future")
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise ProviderRefused("for_another_sign_in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_LENGTH_MAX or "\x00" in subject:
        raise ProviderRefused("no_subject")
    return dict(claims)


def challenge_of(verifier: str) -> str:
    """Return the PKCE challenge (S256) of a verifier."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _before(earlier: Any, later: Any) -> bool:
    numbers = [each for each in (earlier, later) if isinstance(each, int | float) and not isinstance(each, bool)]
    return len(numbers) == 2 and numbers[0] < numbers[1]


def _at(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by a dotted path such as `realm_access.roles`."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for step in name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _safe(address: Any) -> bool:
    """Whether secrets may be sent there: over TLS, or on this machine."""
    if not isinstance(address, str):
        return False
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"))


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False, headers={"Accept": "application/json"})


async def _fetched(http: httpx.AsyncClient, address: str) -> Mapping[str, Any]:
    return await _answered(http.get(address), "provider_not_answering")


async def _more(http: httpx.AsyncClient, address: str, tokens: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
    """Return the provider's user info, if it is about the same person as the ID token."""
    bearer = {"Authorization": f"Bearer {tokens.get('access_token')}"}
    more = await _answered(http.get(address, headers=bearer), "provider_not_answering")
    if more.get("sub") != subject:
        raise ProviderRefused("of_another_person")
    return more


async def _answered(answer: Any, why: str) -> Mapping[str, Any]:
    try:
        response: httpx.Response = await answer
        body = response.json() if response.is_success else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        raise ProviderRefused("provider_not_answering") from None
    if not isinstance(body, dict):
        raise ProviderRefused(why)
    return body
