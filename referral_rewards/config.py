"""Where an installation's settings come from: flags, then the environment, then the running local stack.

Read at entry points only (API, CLI, worker): everything else is given what it needs. Each variable is the field's name
in capitals after ``REFERRALS_``. How to reach Temporal is not here: its own ``TEMPORAL_*`` variables and profile files
say so (``temporal.py``).
"""

import base64
import binascii
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.inquiries import REGISTER
from referral_rewards.domain.terms import Role
from referral_rewards.notices.envelope import NoAddress, address
from referral_rewards.notices.folder import MailFolder
from referral_rewards.notices.port import Mailer
from referral_rewards.notices.smtp import MailServer, Smtp
from referral_rewards.notices.webhook import Hook
from referral_rewards.rails.access import Access, PayPalAccess, StripeAccess, TremendousAccess
from referral_rewards.sources.port import Endpoint

PREFIX = "REFERRALS_"
PEPPER_BYTES_MIN = 16
#: Over TLS, or on this machine.
_ISSUER = r"^(https://|http://(localhost|127\.0\.0\.1)(:\d+)?(/|$))[^\s?#]*$"
SIGNING_BYTES_MIN = 24  # what Standard Webhooks asks for
EventPattern = Annotated[str, StringConstraints(pattern=r"^[a-z_.]*\*?$", min_length=1)]


class StackInfo(NamedTuple):
    """``DATA/stack.json``: where the parts of a running local stack listen."""

    api: str
    temporal: str
    web_ui: str
    database_url: str


def stack_file(data: Path) -> Path:
    """The file that exists exactly while a local stack is ready."""
    return data / "stack.json"


def keys_folder(data: Path) -> Path:
    """Where a local stack keeps its secrets, readable by its owner only."""
    return data / "keys"


def local_stack(data: Path) -> StackInfo | None:
    """The local stack that runs on `data`, or None when there is none."""
    try:
        return StackInfo(**json.loads(stack_file(data).read_text()))
    except (OSError, ValueError, TypeError):
        return None


HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


WebhookSource = Literal["stripe", "paypal", "tremendous"]


class SourceSettings(BaseModel):
    """Where an outside source is asked, and the token that it wants to see."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl
    token: SecretStr | None = None


class WebhookSettings(BaseModel):
    """Where events go, the secret (``whsec_…``) that signs them, and the types wanted: ``*`` stands for any end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    secret: SecretStr
    events: Annotated[tuple[EventPattern, ...], Field(min_length=1)] = ("*",)

    @field_validator("secret")
    @classmethod
    def _signs(cls, secret: SecretStr) -> SecretStr:
        prefix, _, key = secret.get_secret_value().rpartition("_")
        try:
            usable = prefix in ("", "whsec") and len(base64.b64decode(key, validate=True)) >= SIGNING_BYTES_MIN
        except binascii.Error:
            usable = False
        if not usable:
            raise ValueError(f"must be whsec_ and {SIGNING_BYTES_MIN} bytes or more in base64")
        return secret


class Settings(BaseSettings):
    """What an entry point needs to know before it can put anything together."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    data: Path = Field(default=Path(".local"), description="Folder of the local stack")
    database_url: str = Field(repr=False, description="PostgreSQL, as postgresql://user:password@host:port/database")
    api_url: str = Field(default="http://127.0.0.1:8700", description="Where the CLI reaches the API")
    api_host: str = Field(default="127.0.0.1", description="Address that the API binds")
    api_port: int = Field(default=8700, ge=1, le=65535, description="Port that the API binds")
    trusted_proxies: str = Field(
        default="", description="Addresses of proxies whose X-Forwarded-For and -Proto the API believes, by commas"
    )
    web_ui_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = Field(
        default=None,
        description="Temporal Web UI with its namespace, as http://127.0.0.1:8233/namespaces/default; runs are linked",
    )
    pepper: SecretStr | None = Field(
        default=None,
        description=f"Key of the hashes that identities match by: {PEPPER_BYTES_MIN} bytes or more, hex or base64",
    )
    signing_key: Path | None = Field(
        default=None, description="Ed25519 private key (PEM) that signs decisions; for the API alone"
    )
    verify_keys: Path | None = Field(
        default=None, description="JSON list of {key_id, public_key, status}: the keys that decisions are verified by"
    )
    sources: dict[str, SourceSettings] = Field(
        default={}, description='Outside sources by their names in the terms: {"shop": {"url": …, "token": …}}'
    )
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")] | None = Field(
        default=None, description="Where people reach the pages; where the API is reached, if not given"
    )
    oidc_issuer: Annotated[str, StringConstraints(pattern=_ISSUER)] | None = Field(
        default=None, description="OpenID provider that people sign in with, as it names itself"
    )
    oidc_client_id: str | None = Field(default=None, description="What the provider knows us by")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Our secret there; for the API alone")
    oidc_name_claim: str = Field(default="preferred_username", description="Claim that people are named by")
    oidc_roles_claim: str | None = Field(
        default=None, description="Claim that says which roles people hold; from our register, if not given"
    )
    oidc_roles: dict[str, Role] = Field(
        default={}, description='Roles by what that claim says: {"finance-team": "finance"}'
    )
    smtp_url: SecretStr | None = Field(
        default=None, description="Mail server, as smtp://user:password@host:587 (with STARTTLS) or smtps://…"
    )
    mail_from: str = Field(default="Referral rewards <referrals@localhost>", description="Whom letters come from")
    mail_folder: Path | None = Field(
        default=None, description="Folder that letters are written to as .eml files, where no mail server is set"
    )
    webhooks: dict[str, WebhookSettings] = Field(
        default={}, description='Who is told of events: {"crm": {"url": …, "secret": "whsec_…", "events": ["claim.*"]}}'
    )
    rail_stripe_key: SecretStr | None = Field(
        default=None, description="Stripe secret or restricted key: connects the rails of Stripe; for payouts alone"
    )
    rail_stripe_url: HttpUrl = Field(default="https://api.stripe.com", description="Where Stripe is called")
    rail_stripe_per_second: float = Field(
        default=8, gt=0, description="Payouts that go to Stripe each second at most; each is up to three requests"
    )
    rail_paypal_client_id: SecretStr | None = Field(
        default=None, description="Client id of a PayPal app with payouts: connects paypal_payouts; for payouts alone"
    )
    rail_paypal_secret: SecretStr | None = Field(default=None, description="The secret of that app")
    rail_paypal_url: HttpUrl = Field(default="https://api-m.paypal.com", description="Where PayPal is called")
    rail_paypal_per_second: float = Field(default=5, gt=0, description="Payouts that go to PayPal each second at most")
    rail_tremendous_key: SecretStr | None = Field(
        default=None, description="Tremendous API key: connects tremendous; for payouts alone"
    )
    rail_tremendous_url: HttpUrl = Field(
        default="https://www.tremendous.com", description="Where Tremendous is called, without /api/v2"
    )
    rail_tremendous_per_second: float = Field(
        default=3, gt=0, description="Payouts that go to Tremendous each second at most; each is up to three requests"
    )
    rail_tremendous_funding_source: str | None = Field(
        default=None, description="Id of the funding source that gift cards are paid from"
    )
    rail_tremendous_campaign: str | None = Field(
        default=None, description="Id of the campaign whose gift cards are offered"
    )
    webhook_secrets: dict[WebhookSource, SecretStr] = Field(
        default={},
        description='What providers sign events with: {"stripe": "whsec_…", "tremendous": "…"}, and of PayPal the id '
        "of the webhook; for the API alone",
    )
    webhook_paypal_certificates: HttpUrl = Field(
        default="https://api.paypal.com/v1/notifications/certs/",
        description="What the address of a certificate of PayPal's begins with; api.sandbox.paypal.com for its sandbox",
    )
    webhook_paypal_roots: Path | None = Field(
        default=None, description="PEM of the roots that it must lead to; those that everybody trusts, if not given"
    )
    referrals_queue: str = Field(default="referrals", description="Temporal task queue without provider secrets")
    payouts_queue: str = Field(default="payouts", description="Temporal task queue whose workers may move money")
    relay_poll_seconds: float = Field(default=0.5, gt=0, description="Pause between two looks at an empty outbox")
    ready_file: Path | None = Field(default=None, description="File that a worker touches once it polls")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = Field(default="auto", description="auto: text on a terminal")

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, url: str) -> str:
        return with_driver(url)

    @field_validator("sources")
    @classmethod
    def _outside(cls, sources: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        if REGISTER in sources:
            raise ValueError(f"{REGISTER} is our own record and no outside source")
        return sources

    @field_validator("webhook_secrets")
    @classmethod
    def _not_empty(cls, secrets: dict[WebhookSource, SecretStr]) -> dict[WebhookSource, SecretStr]:
        if empty := [name for name, secret in secrets.items() if not secret.get_secret_value().strip()]:
            raise ValueError(f"has an empty secret for {' and '.join(empty)}: anybody could sign with it")
        return secrets

    @field_validator("smtp_url")
    @classmethod
    def _names_a_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            MailServer.at(url.get_secret_value())
        return url

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        try:
            address(text)
        except NoAddress:
            raise ValueError("must look like Name <name@example.com>") from None
        return text

    @field_validator("pepper")
    @classmethod
    def _long_enough(cls, pepper: SecretStr | None) -> SecretStr | None:
        if pepper is not None:
            decode_secret(pepper.get_secret_value())
        return pepper

    def pepper_bytes(self) -> bytes:
        """The pepper itself. Raises BadInput where none is set: no hash is ever made without one."""
        if self.pepper is None:
            raise BadInput([Problem(f"{PREFIX}PEPPER", "not set; a hash of an identity is never made without it")])
        return decode_secret(self.pepper.get_secret_value())

    def endpoints(self) -> dict[str, Endpoint]:
        """Where the outside sources are, by their names in the terms."""
        return {
            name: Endpoint(source.url, source.token.get_secret_value() if source.token else None)
            for name, source in self.sources.items()
        }

    def mailer(self) -> Mailer | None:
        """What letters are handed to: the mail server, or the folder, or nothing."""
        if self.smtp_url is not None:
            return Smtp(MailServer.at(self.smtp_url.get_secret_value()), self.mail_from)
        return MailFolder(self.mail_folder, self.mail_from) if self.mail_folder is not None else None

    def hooks(self) -> dict[str, Hook]:
        """Where events go, by the names of those who are told."""
        return {
            name: Hook(each.url, each.secret.get_secret_value(), each.events) for name, each in self.webhooks.items()
        }

    def home_url(self) -> str:
        """Where people reach the pages, without a slash at its end."""
        return (self.public_url or self.api_url).rstrip("/")

    def access(self) -> Access:
        """What providers gave us. Raises BadInput where half of what a rail needs is set."""
        stripe, paypal, tremendous = None, None, None
        if self.rail_stripe_key is not None:
            stripe = StripeAccess(self.rail_stripe_key.get_secret_value(), self.rail_stripe_url)
        if app := _together("RAIL_PAYPAL", CLIENT_ID=self.rail_paypal_client_id, SECRET=self.rail_paypal_secret):
            client_id, secret = app
            paypal = PayPalAccess(client_id, secret, self.rail_paypal_url)
        if account := _together(
            "RAIL_TREMENDOUS",
            KEY=self.rail_tremendous_key,
            FUNDING_SOURCE=self.rail_tremendous_funding_source,
            CAMPAIGN=self.rail_tremendous_campaign,
        ):
            key, funding_source, campaign = account
            tremendous = TremendousAccess(key, funding_source, campaign, self.rail_tremendous_url)
        return Access(stripe, paypal, tremendous)

    def requests_pace(self) -> dict[str, float]:
        """How many payouts a second go to each provider at most; each makes several requests."""
        return {
            "stripe": self.rail_stripe_per_second,
            "paypal": self.rail_paypal_per_second,
            "tremendous": self.rail_tremendous_per_second,
        }

    def stack(self) -> StackInfo | None:
        """The local stack that these settings belong to, or None: they may name another place while one runs."""
        stack = local_stack(self.data)
        return stack if stack and with_driver(stack.database_url) == self.database_url else None

    @classmethod
    def load(cls, **flags: Any) -> "Settings":
        """Settings with `flags` above everything else; a flag that is None was not given.

        Raises BadInput with one problem per setting that is missing or wrong.
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except SettingsError as error:
            name = next((each for each in _EXAMPLES if f'"{each}"' in str(error)), "sources")
            told = f"is not JSON; it looks like {_EXAMPLES[name]}"
            raise BadInput([Problem(f"{PREFIX}{name.upper()}", told)]) from None
        except ValidationError as error:
            raise BadInput([_problem(each["loc"], each["type"], each["msg"]) for each in error.errors()]) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _LocalStack(settings_cls)


#: Settings that are JSON, and what each looks like.
_EXAMPLES: Final = {
    "oidc_roles": '{"finance-team": "finance"}',
    "sources": '{"shop": {"url": "https://…", "token": "…"}}',
    "webhook_secrets": '{"stripe": "whsec_…"}',
    "webhooks": '{"crm": {"url": "https://…", "secret": "whsec_…", "events": ["referral.*"]}}',
}


class _LocalStack(PydanticBaseSettingsSource):
    """Fills in what neither flags nor environment say, from the local stack if one runs.

    The signing key is left out on purpose: only the API is ever handed it, by whoever starts it.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # all values are given at once, by __call__

    def __call__(self) -> dict[str, Any]:
        data = Path(self.current_state.get("data") or Settings.model_fields["data"].default)
        stack = local_stack(data)
        if stack is None:
            return {}
        # Another database goes with other keys: those of the stack would hash and verify for a place they don't know.
        named = self.current_state.get("database_url")
        if named and named.partition("://")[2] != stack.database_url.partition("://")[2]:
            return {}
        found: dict[str, Any] = {"api_url": stack.api, "database_url": stack.database_url}
        keys = keys_folder(data)
        if (pepper := keys / "pepper").is_file():
            found["pepper"] = pepper.read_text().strip()
        if (verify_keys := keys / "verify.json").is_file():
            found["verify_keys"] = verify_keys
        return found


def with_driver(url: str) -> str:
    """The URL with our driver named, so that what a person or a cloud hands out works as it is.

    Raises ValueError when it is not one of PostgreSQL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("must begin with postgresql://")
    return f"postgresql+psycopg://{rest}"


def decode_secret(text: str) -> bytes:
    """Bytes of a secret written in hex or base64. Raises ValueError when it is neither, or shorter than 16 bytes."""
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        try:
            secret = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("must be hex or base64") from None
    if len(secret) < PEPPER_BYTES_MIN:
        raise ValueError(f"must be at least {PEPPER_BYTES_MIN} bytes, this is {len(secret)}")
    return secret


def _together(prefix: str, **settings: SecretStr | str | None) -> list[str]:
    """The values of settings that only make sense together; none if none is set.

    Raises:
        BadInput: with one problem for each that is missing beside another.
    """
    missing = [name for name, value in settings.items() if value is None]
    if len(missing) == len(settings):
        return []
    if missing:
        beside = next(name for name in settings if name not in missing)
        why = f"not set, but {PREFIX}{prefix}_{beside} is: the rail needs both"
        raise BadInput([Problem(f"{PREFIX}{prefix}_{name}", why) for name in missing])
    return [value.get_secret_value() if isinstance(value, SecretStr) else str(value) for value in settings.values()]


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> Problem:
    where = PREFIX + "_".join(map(str, location)).upper()
    if kind == "missing":
        return Problem(where, "not set, and no local stack is running here; set it, or start one with `referrals up`")
    return Problem(where, message.removeprefix("Value error, "))
