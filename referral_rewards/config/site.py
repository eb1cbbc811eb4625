"""The settings of the front door: none of the product's secrets is among them.

Each variable is ``REFERRALS_SITE_`` and the field's name in capitals.
"""

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from referral_rewards.config.stack import PREFIX, decode_secret
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.validation import problems_of
from referral_rewards.domain.web_addresses import HttpUrl
from referral_rewards.notices.envelope import NoAddress, address
from referral_rewards.notices.port import Mailer
from referral_rewards.notices.smtp import MailFolder, MailServer, Smtp

SITE_PREFIX: Final = f"{PREFIX}SITE_"


class SiteSettings(BaseSettings):
    """All that the process of the front door reads."""

    model_config = SettingsConfigDict(env_prefix=SITE_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    programs: Path = Field(description="YAML file with the programs that it shows: texts, colours, logo")
    api_url: HttpUrl = Field(default="http://127.0.0.1:8700", description="Where it reaches the API")
    token: SecretStr = Field(description="Its token there: events:write of its own source, and referrals:read")
    source: str = Field(default="front-door", description="The source of the facts that it tells")
    secret: SecretStr = Field(
        description="Key of its sessions, forms, codes and marks: 16 bytes or more, hex or base64"
    )
    link_secrets: tuple[SecretStr, ...] = Field(
        min_length=1, description="JSON list of the secrets that enrolment links are signed with, the newest first"
    )
    data: Path = Field(default=Path(".local/site"), description="Folder of its own small store")
    host: str = Field(default="127.0.0.1", description="Address that it binds")
    port: int = Field(default=8705, ge=1, le=65535, description="Port that it binds")
    public_url: HttpUrl | None = Field(default=None, description="Where people reach it; host and port by default")
    trusted_proxies: str = Field(
        default="", description="Proxies whose X-Forwarded-For and -Proto headers it trusts, comma-separated"
    )
    smtp_url: SecretStr | None = Field(default=None, description="Mail server for invitations, as for other letters")
    mail_folder: Path | None = Field(default=None, description="Folder that letters are written to without a server")
    mail_from: str = Field(default="Referral rewards <referrals@localhost>", description="Sender of invitations")
    invitations_a_day: int = Field(default=20, ge=0, description="How many letters a referrer may ask for in 24 hours")
    form_seconds_min: int = Field(
        default=2, ge=0, description="A claim that is sent sooner after its page is no person's"
    )
    keep_days: int = Field(default=400, ge=1, description="After so many days an invitation is forgotten")
    validation_url: HttpUrl | None = Field(
        default=None, description="Address of the CRM or billing system that says whether a customer may enrol"
    )
    validation_token: SecretStr | None = Field(default=None, description="Bearer token for that address")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = Field(default="auto", description="auto: text on a terminal")

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        decode_secret(secret.get_secret_value())
        return secret

    @field_validator("link_secrets")
    @classmethod
    def _each_long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for each in secrets:
            decode_secret(each.get_secret_value())
        return secrets

    @field_validator("mail_from")
    @classmethod
    def _can_send(cls, sender: str) -> str:
        try:
            address(sender)
        except NoAddress:
            raise ValueError("must look like Acme <referrals@acme.example>") from None
        return sender

    @field_validator("smtp_url")
    @classmethod
    def _can_be_reached(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            MailServer.at(url.get_secret_value())
        return url

    @property
    def secret_bytes(self) -> bytes:
        """The key of what the front door signs for itself."""
        return decode_secret(self.secret.get_secret_value())

    @property
    def link_secret_bytes(self) -> tuple[bytes, ...]:
        """The secrets of enrolment links, the newest first."""
        return tuple(decode_secret(each.get_secret_value()) for each in self.link_secrets)

    def home_url(self) -> str:
        """Return where people reach the front door, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    def mailer(self) -> Mailer | None:
        """Return what sends letters; None if neither a server nor a folder is set."""
        if self.smtp_url is not None:
            return Smtp(MailServer.at(self.smtp_url.get_secret_value()), self.mail_from)
        return MailFolder(self.mail_folder, self.mail_from) if self.mail_folder is not None else None

    @classmethod
    def load(cls, **flags: Any) -> "SiteSettings":
        """Load the settings; ``flags`` override the environment, and one that is None was not given.

        Raises:
            BadInput: with one problem for each missing or invalid setting.
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except SettingsError:
            raise BadInput([Problem(f"{SITE_PREFIX}LINK_SECRETS", 'is not JSON; it looks like ["9f86d0…"]')]) from None
        except ValidationError as error:
            raise BadInput(problems_of(error, lambda where: SITE_PREFIX + str(where[0]).upper())) from None
