"""The settings of an installation: from flags, then the environment, then the running local stack.

Only entry points (API, CLI, worker) read them and pass on what other code needs. Each variable is ``REFERRALS_`` and
the field's name in capitals. The address of Temporal is not among them: it comes from Temporal's own ``TEMPORAL_*``
variables and profile files (``temporal.py``).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from referral_rewards.config.notices import NoticeSettings
from referral_rewards.config.payloads import PayloadSettings
from referral_rewards.config.persons import PersonSettings
from referral_rewards.config.rails import RailSettings
from referral_rewards.config.secrets import values
from referral_rewards.config.sources import SourcesSettings
from referral_rewards.config.stack import (
    PEPPER_BYTES_MIN,
    PREFIX,
    StackInfo,
    decode_keys,
    decode_secret,
    keys_folder,
    local_stack,
    with_driver,
)
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.web_addresses import HttpUrl

if TYPE_CHECKING:
    from referral_rewards.personal import PersonalKeys  # commands that need none do not wait for it

#: Stands in the place of a key that is derived from the pepper.
_BY_THE_PEPPER: Final = "pepper"
#: The issuer's URL: over TLS, or on this machine.
_ISSUER: Final = r"^(https://|http://(localhost|127\.0\.0\.1)(:\d+)?(/|$))[^\s?#]*$"


class SignInSettings(BaseModel):
    """Settings of OpenID sign-in. Without an issuer, people sign in with local passwords only."""

    oidc_issuer: Annotated[str, StringConstraints(pattern=_ISSUER)] | None = Field(
        default=None, description="Issuer of the OpenID provider that people sign in with"
    )
    oidc_client_id: str | None = Field(default=None, description="Our client id at the provider")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Our client secret there; only for the API")
    oidc_name_claim: str = Field(default="preferred_username", description="Claim with the user's name")
    oidc_roles_claim: str | None = Field(
        default=None, description="Claim with people's roles; our own register by default"
    )
    oidc_roles: dict[str, Role] = Field(
        default={}, description='Roles by the value of that claim: {"finance-team": "finance"}'
    )
    second_factor: Literal["required", "optional"] = Field(
        default="required",
        description="Whether everybody who may decide has to set up a second factor beside their password here",
    )
    sealing_keys: SecretStr | None = Field(
        default=None,
        description="Keys that seal secrets in the register: 32 bytes each, hex or base64, comma-separated, "
        "the newest first; only for the API",
    )

    @field_validator("sealing_keys")
    @classmethod
    def _of_32_bytes(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            decode_keys(keys.get_secret_value())
        return keys

    def sealing(self) -> tuple[bytes, ...]:
        """Return the keys that seal secrets in the register, the newest first; none if none are set."""
        return () if self.sealing_keys is None else decode_keys(self.sealing_keys.get_secret_value())


class Settings(
    PayloadSettings, PersonSettings, RailSettings, NoticeSettings, SignInSettings, SourcesSettings, BaseSettings
):
    """All the settings that an entry point reads."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    data: Path = Field(default=Path(".local"), description="Folder of the local stack")
    database_url: str = Field(repr=False, description="PostgreSQL, as postgresql://user:password@host:port/database")
    database_pooling: Literal["none", "transaction"] = Field(
        default="none", description="transaction: a pooler, such as PgBouncer, stands before PostgreSQL"
    )
    database_api_role: str | None = Field(
        default=None, description="Database role of the API, which `referrals db upgrade` grants what it needs"
    )
    database_worker_role: str | None = Field(default=None, description="Database role of all workers, likewise")
    api_url: str = Field(default="http://127.0.0.1:8700", description="Where the CLI reaches the API")
    api_host: str = Field(default="127.0.0.1", description="Address that the API binds")
    api_port: int = Field(default=8700, ge=1, le=65535, description="Port that the API binds")
    api_head_seconds: float = Field(
        default=10, gt=0, description="How long the API waits for the headers of a request, in seconds"
    )
    api_body_seconds: float = Field(
        default=20, gt=0, description="How long the API waits for the next part of a body, in seconds"
    )
    api_answer_seconds: float = Field(
        default=60, gt=0, description="How long the API waits for a client that does not read its answer, in seconds"
    )
    api_connections_max: int = Field(
        default=1000, ge=1, description="Connections that the API serves at once; further requests are answered 503"
    )
    trusted_proxies: str = Field(
        default="", description="Proxies whose X-Forwarded-For and -Proto headers the API trusts, comma-separated"
    )
    web_ui_url: HttpUrl | None = Field(
        default=None,
        description="Temporal Web UI with its namespace, as http://127.0.0.1:8233/namespaces/default; runs are linked",
    )
    pepper: SecretStr | None = Field(
        default=None,
        description=f"Key of the hashes that identities match by: {PEPPER_BYTES_MIN} bytes or more, hex or base64",
    )
    personal_keys: SecretStr | None = Field(
        default=None,
        description="Keys that seal personal data in the register: 32 bytes each, hex or base64, comma-separated, the "
        "newest first; the same for the API and every worker",
    )
    signing_key: Path | None = Field(
        default=None, description="Ed25519 private key (PEM) that signs decisions; only for the API"
    )
    verify_keys: Path | None = Field(
        default=None, description="JSON list of {key_id, public_key, status}: the keys that verify decisions"
    )
    status_link_keys: tuple[SecretStr, ...] = Field(
        default=(SecretStr(_BY_THE_PEPPER),),
        min_length=1,
        description='Keys of links to status pages, as ["…"]: 16 bytes or more, hex or base64, or `pepper` for one '
        "that is derived from it; the first makes links, each opens them; the same for the API and the worker for "
        "referrals",
    )
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")] | None = Field(
        default=None, description="Public address of the pages; the API's own address by default"
    )
    referrals_queue: str = Field(default="referrals", description="Temporal task queue without provider secrets")
    payouts_queue: str = Field(default="payouts", description="Temporal task queue whose workers may move money")
    relay_poll_seconds: float = Field(default=0.5, gt=0, description="Pause between two reads of an empty outbox")
    operation_host: str = Field(default="127.0.0.1", description="Address of the port for probes and metrics")
    operation_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of /livez, /readyz and /metrics of the API or of a worker; none by default",
    )
    temporal_metrics: Annotated[str, StringConstraints(pattern=r"^[^\s:]+:\d{1,5}$")] | None = Field(
        default=None, description="Address, as 127.0.0.1:9464, of the metrics of Temporal's own client; none by default"
    )
    traces_url: HttpUrl | None = Field(
        default=None,
        description="OTLP receiver of traces, as http://127.0.0.1:4318/v1/traces; nothing is traced by default",
    )
    ready_file: Path | None = Field(default=None, description="File that a worker touches once it polls")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = Field(default="auto", description="auto: text on a terminal")

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, url: str) -> str:
        return with_driver(url)

    @field_validator("pepper")
    @classmethod
    def _long_enough(cls, pepper: SecretStr | None) -> SecretStr | None:
        if pepper is not None:
            decode_secret(pepper.get_secret_value())
        return pepper

    @field_validator("personal_keys")
    @classmethod
    def _personal_keys_of_32_bytes(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            decode_keys(keys.get_secret_value())
        return keys

    def personal(self, *, required: bool = True) -> "PersonalKeys":
        """Return the keys of personal data. Raises BadInput if none is set and some are ``required``, as by whatever
        serves: personal data is never stored in clear."""
        from referral_rewards.personal import NOT_SET, PersonalKeys

        if self.personal_keys is None:
            if required:
                raise BadInput([NOT_SET])
            return PersonalKeys(())
        return PersonalKeys(decode_keys(self.personal_keys.get_secret_value()))

    @property
    def pooled(self) -> bool:
        """Whether a pooler stands before PostgreSQL."""
        return self.database_pooling != "none"

    @field_validator("status_link_keys")
    @classmethod
    def _each_long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in values(keys):
            if key != _BY_THE_PEPPER:
                decode_secret(key)
        return keys

    def own_link_keys(self) -> tuple[bytes | None, ...]:
        """Return the keys of links to status pages; None in the place of the one that is derived from the pepper."""
        return tuple(None if key == _BY_THE_PEPPER else decode_secret(key) for key in values(self.status_link_keys))

    def pepper_bytes(self) -> bytes:
        """Return the pepper's bytes. Raises BadInput if none is set: no hash is ever made without a pepper."""
        if self.pepper is None:
            raise BadInput([Problem(f"{PREFIX}PEPPER", "not set; a hash of an identity is never made without it")])
        return decode_secret(self.pepper.get_secret_value())

    def database_for(self, process: Literal["api", "worker"]) -> str:
        """Return the database's URL for a process: of a local stack that of the process's role."""
        stack = self.stack()
        return self.database_url if stack is None else with_driver(stack.url_for(process))

    def home_url(self) -> str:
        """Return the public URL of the pages, without a trailing slash."""
        return (self.public_url or self.api_url).rstrip("/")

    def stack(self) -> StackInfo | None:
        """Return the running local stack if these settings use its database, else None."""
        stack = local_stack(self.data)
        return stack if stack and with_driver(stack.database_url) == self.database_url else None

    @classmethod
    def load(cls, **flags: Any) -> "Settings":
        """Load the settings. `flags` override everything else; a flag that is None was not given.

        Raises BadInput with one problem for each missing or invalid setting.
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


#: The settings in JSON, with an example of each.
_EXAMPLES: Final = {
    "oidc_roles": '{"finance-team": "finance"}',
    "payload_keys": '{"2026-12": "…"}',
    "regions": '{"acme/site": "CA"}',
    "sources": '{"shop": {"url": "https://…", "token": "…"}}',
    "status_link_keys": '["…", "pepper"]',
    "stores": '{"acme/shop-de": "de"}',
    "webhook_secrets": '{"stripe": "whsec_…"}',
    "webhooks": '{"crm": {"url": "https://…", "secret": "whsec_…", "events": ["referral.*"]}}',
}


class _LocalStack(PydanticBaseSettingsSource):
    """Supplies settings that are in neither flags nor environment from the running local stack.

    It omits the signing key on purpose: only the API gets it, from the process that starts the API.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # __call__ returns all values at once

    def __call__(self) -> dict[str, Any]:
        data = Path(self.current_state.get("data") or Settings.model_fields["data"].default)
        stack = local_stack(data)
        if stack is None:
            return {}
        # Another database has other keys: the stack's pepper and public keys would not match its contents.
        named = self.current_state.get("database_url")
        if named and named.partition("://")[2] != stack.database_url.partition("://")[2]:
            return {}
        found: dict[str, Any] = {"api_url": stack.api, "database_url": stack.database_url}
        keys = keys_folder(data)
        if (pepper := keys / "pepper").is_file():
            found["pepper"] = pepper.read_text().strip()
        if (personal := keys / "personal").is_file():
            found["personal_keys"] = personal.read_text().strip()
        if (verify_keys := keys / "verify.json").is_file():
            found["verify_keys"] = verify_keys
        return found


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> Problem:
    where = PREFIX + "_".join(map(str, location)).upper()
    if kind == "missing":
        return Problem(where, "not set, and no local stack is running here; set it, or start one with `referrals up`")
    return Problem(where, message.removeprefix("Value error, "))
