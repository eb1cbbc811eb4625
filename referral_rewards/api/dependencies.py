"""The dependencies of the routes: the parts that a process creates once, and the user who sends the request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final, TypeVar

import httpx
import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client

from models import pooler, power
from models.session import Database
from referral_rewards.api.metrics import Metrics
from referral_rewards.api.openid import Provider
from referral_rewards.audit.loading import Means
from referral_rewards.config import event_sources
from referral_rewards.config.secrets import values
from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.errors import BadInput, NotSignedIn, Problem
from referral_rewards.domain.people.authority import Role, Scope
from referral_rewards.namespace import Namespace
from referral_rewards.operation.pulse import Pulse, Readiness
from referral_rewards.payload_codec import Codec
from referral_rewards.rails import asking
from referral_rewards.rails.webhooks.connected import connected
from referral_rewards.rails.webhooks.port import Webhook
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.notices import status_links
from referral_rewards.register.people import sessions, users
from referral_rewards.register.people.users import User
from referral_rewards.register.restores import secrets
from referral_rewards.register.sealing import Sealer
from referral_rewards.sources.connecting import Place
from referral_rewards.temporal import connect, is_named
from referral_rewards.tracing import Tracing, current
from referral_rewards.vendors.connected import ConnectedSource

T = TypeVar("T")

_log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class Parts:
    """The database, the intake of facts, the keys that verify decisions, and the key that signs them.

    ``sources`` are the outside systems that terms name; they are asked before a program starts. ``home_url`` is the
    public address of the pages, empty to use the address of the request. ``simulating`` allows one replay at a time.
    ``web_ui`` is the address of a namespace in the Temporal Web UI, None if it is not configured. ``openid`` is the
    sign-in provider, if there is one besides our own passwords. ``webhooks`` are those of payment providers by source;
    ``outside`` fetches what is needed to verify them. ``event_sources`` tell us of events, by their names.
    ``temporal`` connects to the server that keeps the mark of the register; None if none is named. ``namespace`` is
    what was found there last, ``ready`` what else keeps the API from its work, and ``pulse`` knows whether the parts
    that look for it live. ``tracing`` is None while nothing is traced. ``sealer`` seals secrets that the register
    keeps, None without keys. ``second_factor_required``: whoever may decide signs in with one. ``codec`` opens what
    Temporal keeps.
    """

    database: Database
    intake: Intake
    keys: KeyRing
    signer: Signer
    metrics: Metrics
    web_ui: str | None = None
    openid: Provider | None = None
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    outside: httpx.AsyncClient | None = None
    sources: Mapping[str, Place] = field(default_factory=dict)
    event_sources: Mapping[str, ConnectedSource] = field(default_factory=dict)
    home_url: str = ""
    simulating: asyncio.Lock = field(default_factory=asyncio.Lock)
    temporal: Callable[[], Awaitable[Client]] | None = None
    namespace: Namespace = field(default_factory=Namespace)
    ready: Readiness = field(default_factory=Readiness)
    pulse: Pulse = field(default_factory=Pulse)
    tracing: Tracing | None = None
    sealer: Sealer | None = None
    second_factor_required: bool = False
    codec: Codec = field(default_factory=lambda: Codec({}))
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    own_link_keys: Sequence[bytes | None] = status_links.BY_THE_PEPPER

    @property
    def link_keys(self) -> Sequence[bytes]:
        """The keys of links to status pages: the first makes them, each opens them."""
        return status_links.keys(self.own_link_keys, self.intake.key_for(status_links.PURPOSE))

    @property
    def means(self) -> Means:
        """What paid rewards are examined with."""
        return Means(self.keys.keys, self.intake.marker)

    @classmethod
    def of(cls, settings: Settings) -> "Parts":
        """Create the parts from the settings.

        Raises:
            BadInput: if a key that the API needs is missing.
        """
        if settings.signing_key is None:
            raise BadInput([Problem(f"{PREFIX}SIGNING_KEY", "not set; without it no decision can be signed")])
        if settings.verify_keys is None:
            raise BadInput([Problem(f"{PREFIX}VERIFY_KEYS", "not set; without it no decision can be verified")])
        sealing, required = settings.sealing(), settings.second_factor == "required"
        if required and not sealing:
            raise BadInput([Problem(f"{PREFIX}SEALING_KEYS", "not set; without it no second factor can be kept")])
        try:
            signer = Signer.load(settings.signing_key)
        except (OSError, ValueError) as error:
            raise BadInput([Problem(f"{PREFIX}SIGNING_KEY", f"can't be used: {error}")]) from None
        keys = KeyRing.load(settings.verify_keys)
        if signer.key_id not in keys.active:
            raise BadInput(
                [Problem(f"{PREFIX}VERIFY_KEYS", f"does not list the signing key {signer.key_id} as active")]
            )
        tracing = Tracing.to(settings.traces_url, "referrals-api")
        outside = asking.client() if settings.webhook_secrets else None
        return cls(
            database=Database.at(
                settings.database_for("api"),
                pool_size=10,
                traced_by=current if tracing else None,
                pooled=settings.pooled,
                personal=settings.personal(),
            ),
            intake=Intake(settings.pepper_bytes(), settings.phone_regions(), settings.stores),
            keys=keys,
            signer=signer,
            metrics=Metrics(),
            web_ui=settings.web_ui_url,
            openid=_provider(settings),
            webhooks=_webhooks(settings, outside),
            own_link_keys=settings.own_link_keys(),
            outside=outside,
            sources=settings.endpoints(),
            event_sources={} if settings.event_sources is None else event_sources.load(settings.event_sources),
            home_url=settings.home_url(),
            temporal=partial(connect, settings) if is_named(settings) else None,
            tracing=tracing,
            sealer=Sealer(sealing) if sealing else None,
            second_factor_required=required,
            codec=Codec(settings.payload_key_bytes()),
        )


async def check_secrets(parts: Parts) -> None:
    """Return if we may use the database as we do, and pepper and keys belong to the register. A database without our
    schema has nothing to compare with.

    Raises:
        BadInput: naming the setting that is wrong.
    """
    fingerprint = parts.intake.key_for(secrets.PURPOSE).hex()
    now, signing = datetime.now(UTC), parts.signer.key_id
    database = parts.database.apart()  # the server has an event loop of its own
    try:
        if (unnamed := await pooler.problem(database)) is not None:
            raise BadInput([unnamed])
        if (excess := await power.excess(database)) is not None:
            _log.warning("database_role_too_strong", why=excess)
        await secrets.check(database, fingerprint, parts.keys.listed, signing, now)
        await database.write(chain.take_over, parts.signer, parts.keys)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _NO_SUCH_TABLE:
            raise
    finally:
        await database.close()


#: undefined_table
_NO_SUCH_TABLE: Final = "42P01"


def _webhooks(settings: Settings, client: httpx.AsyncClient | None) -> Mapping[str, Webhook]:
    if client is None:
        return {}
    secrets: dict[str, tuple[str, ...]] = {name: values(each) for name, each in settings.webhook_secrets.items()}
    roots = settings.webhook_paypal_roots
    try:
        return connected(secrets, client, certificates=settings.webhook_paypal_certificates, roots=roots)
    except (OSError, ValueError) as error:
        raise BadInput([Problem(f"{PREFIX}WEBHOOK_PAYPAL_ROOTS", f"can't be used: {error}")]) from None


def _provider(settings: Settings) -> Provider | None:
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_client_id is None:
        raise BadInput([Problem(f"{PREFIX}OIDC_CLIENT_ID", "not set; the provider must know who asks")])
    secret = settings.oidc_client_secret
    return Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        redirect_uri=f"{settings.home_url()}/sign-in/openid/callback",
        client_secret=secret.get_secret_value() if secret else None,
        name_claim=settings.oidc_name_claim,
        roles_claim=settings.oidc_roles_claim,
        roles=settings.oidc_roles,
    )


async def _parts(request: Request) -> Parts:  # a plain function would be called in a thread
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


Its = Annotated[Parts, Depends(_parts)]


async def _reading(parts: Its) -> AsyncIterator[AsyncConnection]:
    async with parts.database.reading() as connection:
        yield connection


Reading = Annotated[AsyncConnection, Depends(_reading)]
"""A transaction for a request that only reads."""

bearer = HTTPBearer(auto_error=False, description="A token from `referrals token add` or `referrals user add`.")
"""The token in a request, if there is one."""


async def _signed_in(parts: Its, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> User:
    if credentials is None:
        raise NotSignedIn("a token is needed: Authorization: Bearer …")
    async with parts.database.reading() as connection:
        return await users.signed_in(connection, credentials.credentials, datetime.now(UTC))


async def _person(user: Annotated[User, Depends(_signed_in)]) -> User:
    user.need_a_role()
    return user


async def _decider(user: Annotated[User, Depends(_person)]) -> User:
    user.need_scope(Scope.CLAIMS_DECIDE)
    return user


async def _bookkeeper(user: Annotated[User, Depends(_person)]) -> User:
    user.need_the_books()
    return user


async def _administrator(user: Annotated[User, Depends(_person)]) -> User:
    user.need_role(Role.ADMINISTRATOR, _LOOKING_AFTER)
    return user


async def _standings_reader(user: Annotated[User, Depends(_signed_in)]) -> User:
    if not user.roles:
        user.need_scope(Scope.REFERRALS_READ)
    else:
        user.need_a_role()
    return user


async def _teller(user: Annotated[User, Depends(_signed_in)]) -> User:
    user.need_scope(Scope.EVENTS_WRITE)
    return user


_LOOKING_AFTER: Final = "look after people, tokens and the blocklist"

SignedIn = Annotated[User, Depends(_signed_in)]
FactTeller = Annotated[User, Security(_teller, scopes=[Scope.EVENTS_WRITE])]
"""A user who may send facts."""
Person = Annotated[User, Security(_person, scopes=[Scope.CLAIMS_READ])]
"""A user with a role: services write facts and read nothing."""
StandingsReader = Annotated[User, Security(_standings_reader, scopes=[Scope.REFERRALS_READ])]
"""A service that may read where the referrals of its programs stand, or a person who reads everything."""
Decider = Annotated[User, Security(_decider, scopes=[Scope.CLAIMS_DECIDE])]
"""A person whose token may be used to decide."""
Bookkeeper = Annotated[User, Security(_bookkeeper, scopes=[Scope.CLAIMS_READ])]
"""Finance, or an administrator, who may read the books."""
Administrator = Annotated[User, Security(_administrator, scopes=[Scope.CLAIMS_READ])]
"""A person who may list the users; changing one needs `acting`."""


async def acting(
    parts: Parts,
    user: User,
    change: Callable[[AsyncConnection, datetime], Awaitable[T]],
    role: Role | None = None,
    what: str = _LOOKING_AFTER,
) -> T:
    """Return the result of a person's ``change``, made at the present moment. Their authority is checked in the same
    transaction.

    Raises:
        NotSignedIn, NotAllowed: if the person may no longer make it, or their token may not be used to decide.
    """

    async def made(connection: AsyncConnection) -> T:
        now = datetime.now(UTC)
        present = await sessions.still(connection, user, at=now)
        if role is not None:
            present.need_role(role, what)
        return await change(connection, now)

    return await parts.database.write(made)
