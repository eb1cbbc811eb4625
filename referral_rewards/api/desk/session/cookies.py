"""Cookies of the desk: for this host alone, out of reach of scripts, and not sent with what other sites have sent."""

from fastapi import Request, Response


def cookie_name(name: str, *, secure: bool) -> str:
    """The cookie's name on this scheme: over HTTPS the browser itself keeps `__Host-` to our origin; plain HTTP is for
    loopback only."""
    return f"__Host-{name}" if secure else name


def held(request: Request, name: str) -> str | None:
    """What the browser sends under this name."""
    return request.cookies.get(cookie_name(name, secure=_secure(request)))


def hand(response: Response, request: Request, name: str, value: str, *, seconds: int | None = None) -> None:
    """Hands it to the browser, to be kept for so long, or until it is closed."""
    secure = _secure(request)
    response.set_cookie(
        cookie_name(name, secure=secure),
        value,
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=secure,
        path="/",
    )


def forget(response: Response, request: Request, name: str) -> None:
    """Has the browser forget it."""
    secure = _secure(request)
    response.delete_cookie(cookie_name(name, secure=secure), httponly=True, samesite="lax", secure=secure, path="/")


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"
