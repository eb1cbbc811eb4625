"""The product, as the front door reaches it: the public API with a narrow token, and the company's validation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

_TIMEOUT_SECONDS: Final = 10.0
#: What a program promises is asked for again after this.
_OFFER_LASTS: Final = timedelta(minutes=5)


Part = TypeVar("Part", bound="_Part")


class Silent(Exception):
    """The API did not answer, or not as it should; the message is a short code."""


class _Part(BaseModel):
    """A part of an answer; members that later versions add are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Offer(_Part):
    """What a program promises, as `GET /v1/offers/{program}` says it."""

    name: str
    open: bool
    for_referrer: str | None
    for_referee: str | None
    minimum: str | None
    new_customers_only: bool
    invitation_lasts: str | None
    offer_lasts: str
    return_lasts: str
    timezone: str
    writes_from: str | None
    writes_until: str | None

    @property
    def hours(self) -> tuple[str, str] | None:
        """The hours in which letters are written; None: at any."""
        return (self.writes_from, self.writes_until) if self.writes_from and self.writes_until else None


class Reward(_Part):
    """A reward of the referrer's: what of it was paid and is still theirs, and what is owed and was not paid yet."""

    amount: str
    amount_minor: int
    currency: str
    state: str
    paid_minor: int
    owed_minor: int


class Standing(_Part):
    """Where a referral stands for its referrer."""

    referral: str
    channel: str | None
    began_at: datetime
    heading: str
    why: str
    next: str | None
    deadline: datetime | None
    rewards: tuple[Reward, ...]


class Standings(_Part):
    """A page of them, the newest first."""

    standings: tuple[Standing, ...]
    next: str | None


class Answer(StrEnum):
    """What came of telling a fact."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    CONFLICT = "conflict"


@dataclass(slots=True)
class _Known:
    offer: Offer
    at: datetime


class Product:
    """The API. Offers are kept for a while, and for as long as it is silent."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._offers: dict[str, _Known] = {}

    @classmethod
    def at(cls, url: str, token: str) -> "Product":
        """Return the API at an address, with a token of ours."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return cls(httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS))

    async def tell(self, fact: Mapping[str, Any]) -> tuple[Answer, str]:
        """Return what came of telling a fact, and in which fields it was refused.

        Raises:
            Silent: if it has to be told again.
        """
        answer = await self._asked("POST", "/v1/events", json=fact)
        if answer.status_code == httpx.codes.ACCEPTED:
            return Answer.ACKNOWLEDGED, ""
        if answer.status_code == httpx.codes.CONFLICT:
            return Answer.CONFLICT, ""
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            return Answer.REFUSED, _places(answer)
        raise Silent(f"status_{answer.status_code}")

    async def standings(self, program: str, referrer: str, after: str | None) -> Standings:
        """Return a page of where the referrals of a referrer stand.

        Raises:
            Silent: if nobody can say.
        """
        asked = {"program": program, "referrer": referrer, **({"after": after} if after else {})}
        return await self._read("/v1/standings", Standings, asked)

    async def offer(self, program: str, now: datetime) -> Offer | None:
        """Return what a program promises, as it was last heard; None if it was never heard."""
        known = self._offers.get(program)
        if known is None or now - known.at >= _OFFER_LASTS:
            try:
                found = await self._read(f"/v1/offers/{quote(program, safe='')}", Offer)
            except Silent:
                return known.offer if known else None
            self._offers[program] = known = _Known(found, now)
        return known.offer

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()

    async def _read(self, path: str, kind: type[Part], asked: Mapping[str, str] | None = None) -> Part:
        answer = await self._asked("GET", path, params=asked)
        if answer.status_code != httpx.codes.OK:
            raise Silent(f"status_{answer.status_code}")
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError:
            raise Silent("not_understood") from None

    async def _asked(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **how)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Silent(type(error).__name__) from None


class Validation:
    """The CRM or billing system, where it is asked whether a customer may enrol."""

    def __init__(self, url: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url, self._http = url, httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_SECONDS)

    async def says(self, program: str, customer: str) -> bool | None:
        """Return whether the account may enrol; None if nobody could say, which is no yes."""
        try:
            answer = await self._http.post(self._url, json={"program": program, "customer": customer})
            valid = answer.json().get("valid") if answer.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
            return None
        return valid if isinstance(valid, bool) else None

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()


def _places(answer: httpx.Response) -> str:
    """Return the fields that were refused. What is wrong with them could repeat what was typed."""
    try:
        return " ".join(sorted({str(each["where"]) for each in answer.json()["problems"]}))
    except (ValueError, KeyError, TypeError):
        return ""
