"""Cookies of the desk: for this host only, not readable by scripts, and not sent with requests from other sites."""

from fastapi import Request, Response


def cookie_name(name: str, *, secure: bool) -> str:
    """Return the cookie's name for this scheme: over HTTPS with `__Host-`, which browsers restrict to our origin; plain
    HTTP is for loopback only."""
    return f"__Host-{name}" if secure else name


def held(request: Request, name: str) -> str | None:
    """Return the value that the browser sends under this name."""
    return request.cookies.get(cookie_name(name, secure=_secure(request)))


def hand(response: Response, request: Request, name: str, value: str, *, seconds: int | None = None) -> None:
    """Set the cookie for ``seconds``, or until the browser is closed."""
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
    """Delete the cookie."""
    secure = _secure(request)
    response.delete_cookie(cookie_name(name, secure=secure), httponly=True, samesite="lax", secure=secure, path="/")


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"
