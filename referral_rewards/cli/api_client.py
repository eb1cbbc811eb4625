"""Asking the API, with one's own token."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from referral_rewards.cli.credentials import Access
from referral_rewards.domain.errors import BadInput, Problem, ReferralRewardsError

if TYPE_CHECKING:
    import httpx


@contextmanager
def api_of(access: Access, user: str) -> Iterator["httpx.Client"]:
    """The API, with the user's token.

    Raises:
        ReferralRewardsError: if it does not answer.
    """
    import httpx  # here, as few commands need it

    url = access.url()
    headers = {"Authorization": f"Bearer {access.token_of(user)}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=30) as api:
            yield api
    except httpx.HTTPError as error:
        told = f"the API at {url} does not answer ({str(error) or type(error).__name__})"
        raise ReferralRewardsError(f"{told}; is it running?") from None


def answer_of(response: "httpx.Response") -> dict[str, Any]:
    """What the API answered.

    Raises:
        BadInput: with the problems it found.
        ReferralRewardsError: with its reason for refusing.
    """
    if response.is_success:
        found: dict[str, Any] = response.json()
        return found
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise BadInput([Problem(each["where"], each["what"]) for each in problem.get("problems", [])])
    raise ReferralRewardsError(problem.get("detail") or f"the API answered {response.status_code}")
