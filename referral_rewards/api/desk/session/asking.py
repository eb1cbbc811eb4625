"""The sign-in page, which only the browser that it was shown in can send back."""

import hashlib
import hmac
import secrets
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session import cookies
from referral_rewards.api.desk.session.carried import Carried, own_address
from referral_rewards.api.desk.session.visiting import CSRF_FIELD, is_token
from referral_rewards.domain.facts.ids import id_problem

_COOKIE: Final = "referrals_sign_in"
_SECONDS: Final = 3600


def ask(
    request: Request,
    parts: Parts,
    *,
    return_to: str = "",
    name: str = "",
    carried: Carried | None = None,
    told: str = "",
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    """The sign-in page, with a token that only this browser can send back."""
    return asked(
        request,
        "sign_in.html",
        return_to=return_to,
        carried=carried,
        problem=problem,
        status=status,
        name=name if id_problem(name) is None else "",
        told=told,
        provider=parts.openid.host if parts.openid else None,
    )


def asked(
    request: Request,
    template: str,
    *,
    return_to: str = "",
    carried: Carried | None = None,
    problem: str = "",
    status: int = HTTPStatus.OK,
    **shown: Any,
) -> Response:
    """A page of signing in, where it goes on to and what it carries."""
    known = cookies.held(request, _COOKIE) or ""
    secret = known if len(known) == len(secrets.token_urlsafe(32)) else secrets.token_urlsafe(32)
    answer = page(
        template,
        None,
        status=HTTPStatus(status),
        token=_token(secret),
        return_to=own_address(return_to) or "",
        carried=carried,
        problem=problem,
        **shown,
    )
    cookies.hand(answer, request, _COOKIE, secret, seconds=_SECONDS)
    return answer


def is_ours(request: Request, form: FormData) -> bool:
    """Whether the sign-in form came from our page in this browser: nobody is signed in to a stranger's account."""
    secret = cookies.held(request, _COOKIE)
    return secret is not None and is_token(form.get(CSRF_FIELD), _token(secret))


def said(form: FormData, field: str) -> str:
    """Return what a text field of a form holds; empty if it is not there."""
    value = form.get(field)
    return value if isinstance(value, str) else ""


def _token(secret: str) -> str:
    return hmac.new(secret.encode(), b"sign-in", hashlib.sha256).hexdigest()
