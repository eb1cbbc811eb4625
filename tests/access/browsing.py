"""A browser without scripts, as strangers have one: it keeps cookies and sends the forms that a page holds."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx
from fastapi import FastAPI

from referral_rewards.register.people import passwords
from tests.desk import Desk

PASSWORD = "correct horse battery"


@dataclass
class Form:
    """A form of a page: where it goes, with what its fields hold."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append(Form(given.get("action") or ""))
            self._inside = True
        elif self._inside and tag in ("input", "textarea") and given.get("name"):
            if given.get("type") in ("checkbox", "radio") and "checked" not in given:
                return
            self.forms[-1].fields[str(given["name"])] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def forms(page: httpx.Response) -> list[Form]:
    """The forms of a page, in its order."""
    reader = _Forms()
    reader.feed(page.text)
    return reader.forms


def form(page: httpx.Response, action: str) -> Form:
    """The one form of a page that goes there."""
    (found,) = [each for each in forms(page) if each.action == action]
    return found


@asynccontextmanager
async def stranger(
    app: FastAPI, *, address: str = "192.0.2.1", cookies: Mapping[str, str] | None = None, base: str = "http://desk"
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which nobody is signed in, at this address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    async with httpx.AsyncClient(
        transport=transport, base_url=base, headers={"Accept": "text/html"}, cookies=dict(cookies or {})
    ) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    """Fills in the sign-in page and sends it."""
    shown = form(await client.get("/sign-in"), "/sign-in")
    return await client.post("/sign-in", data={**shown.fields, "name": name, "password": password, **more})


async def give_password(desk: Desk, name: str, password: str = PASSWORD) -> None:
    hashed = await passwords.hash_of(password)
    async with desk.database.transaction() as connection:
        await passwords.keep(connection, name, hashed)
