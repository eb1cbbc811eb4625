"""The API as a command speaks to it: JSON in, JSON out, and every refusal as the one that the API told."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from referral_rewards.cli.credentials import Access, Credential
from referral_rewards.cli.output import PAGE
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.errors import BadInput, NotReady, Problem, ReferralRewardsError

if TYPE_CHECKING:
    import httpx

_SECONDS: Final = 60

Options = Mapping[str, str]
"""What the members of a request are called on the command line, so that a problem names what was typed."""
_AS_THEY_ARE: Final[Options] = MappingProxyType({})


class Api:
    """The API, by one token."""

    def __init__(self, client: "httpx.Client", credential: Credential) -> None:
        self.client, self._credential = client, credential

    def get(self, path: str, options: Options = _AS_THEY_ARE, *, timeout: float = _SECONDS, **asked: Any) -> Any:
        """What the API shows there; what is None is not asked for.

        Raises:
            BadInput: with the problems it found.
            ReferralRewardsError: with its reason for refusing.
        """
        return self.answer(self.client.get(path, params=_named(asked), timeout=timeout), options)

    def send(
        self, method: str, path: str, body: Any = None, options: Options = _AS_THEY_ARE, *, timeout: float = _SECONDS
    ) -> Any:
        """What the API answers to a request that changes something; None where it has nothing to say.

        Raises:
            BadInput, ReferralRewardsError: likewise.
        """
        return self.answer(self.client.request(method, path, json=body, timeout=timeout), options)

    def post(self, path: str, body: Any = None, options: Options = _AS_THEY_ARE, *, timeout: float = _SECONDS) -> Any:
        """Likewise, with POST."""
        return self.send("POST", path, body, options, timeout=timeout)

    def pages(
        self, path: str, options: Options = _AS_THEY_ARE, *, timeout: float = _SECONDS, **asked: Any
    ) -> Iterator[Any]:
        """Every page there, as each is asked for."""
        asked = {"limit": PAGE, **asked}
        while True:
            page = self.get(path, options, timeout=timeout, **asked)
            yield page
            if page["next"] is None:
                return
            asked["after"] = page["next"]

    def all(self, path: str, name: str, options: Options = _AS_THEY_ARE, **asked: Any) -> Iterator[Any]:
        """Every entry of every page, by the name that the pages give their entries."""
        for page in self.pages(path, options, **asked):
            yield from page[name]

    @contextmanager
    def stream(
        self, method: str, path: str, body: Any = None, options: Options = _AS_THEY_ARE, **asked: Any
    ) -> Iterator["httpx.Response"]:
        """An answer of any length, to be read in pieces.

        Raises:
            BadInput, ReferralRewardsError: likewise.
        """
        with self.client.stream(method, path, json=body, params=_named(asked), timeout=600) as response:
            if not response.is_success:
                response.read()
                self.answer(response, options)
            yield response

    def answer(self, response: "httpx.Response", options: Options = _AS_THEY_ARE) -> Any:
        """What a response says.

        Raises:
            BadInput, ReferralRewardsError: likewise.
        """
        if response.is_success:
            return response.json() if response.content else None
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        if not isinstance(problem, dict):
            problem = {}
        if response.status_code == 401:
            told = "is not accepted by the API: the token is nobody's, was revoked, or has expired"
            raise BadInput([Problem(self._credential.source, told)])
        if response.status_code == 422:
            found = [Problem(_place(each["where"], options), each["what"]) for each in problem.get("problems", [])]
            raise BadInput(found or [Problem("", problem.get("detail") or "the API can't take this")])
        if response.status_code == 409 and (gaps := problem.get("problems")):
            raise NotReady("", [Problem(each["where"], each["what"]) for each in gaps])
        raise ReferralRewardsError(problem.get("detail") or f"the API answered {response.status_code}")

    def need_owner(self) -> None:
        """Return if the token is that of the user whom the command names.

        Raises:
            BadInput: if it is somebody else's: nobody acts as another by mistake.
        """
        wanted = self._credential.user
        if wanted is not None and (owner := self.get("/v1/me")["name"]) != wanted:
            told = f"is a token of {owner}, not of {wanted}, whom --as names; leave one of both out"
            raise BadInput([Problem(self._credential.source, told)])


@contextmanager
def api_of(data: Path | None, user: str | None, purpose: Purpose = Purpose.READ) -> Iterator[Api]:
    """The API, by the token that fits.

    Raises:
        BadInput: if nothing says where it is or by which token, or it does not accept that.
        ReferralRewardsError: if it does not answer.
    """
    import httpx  # here, as commands without it start sooner

    access = Access.load(data)
    url, credential = access.url(), access.credential(user, purpose)
    headers = {"Authorization": f"Bearer {credential.token}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_SECONDS) as client:
            api = Api(client, credential)
            api.need_owner()
            yield api
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = f"the API at {url} does not answer ({str(error) or type(error).__name__})"
        raise ReferralRewardsError(f"{told}; is it running?") from None


def _named(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in asked.items() if value is not None}


def _place(where: str, options: Options) -> str:
    """What a problem is about, in the command's own words: the option, and what stands below it."""
    first, dot, rest = where.partition(".")
    return f"{options[first]}{f' {rest}' if dot and not rest.isdecimal() else ''}" if first in options else where
