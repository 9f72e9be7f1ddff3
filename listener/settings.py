"""One validated Settings: ``listener.toml``, the environment and an optional ``.env`` for the secrets.

What belongs to one platform (its budget, its stream options, the names of its secrets) is declared by that
platform's connector; here it is carried as written and validated by :func:`connectors.validate`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, available_timezones

import tomli
from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic.json_schema import GenerateJsonSchema

from listener.errors import ConfigError

AuthorKey = Literal["none", "weekly", "stable"]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EVERY_ORGANIZATION = "all"
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def parse_duration(value: object) -> object:
    """Turn ``"15m"`` (s, m, h or d) into a timedelta; anything else is left to pydantic to refuse."""
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d{1,9})\s*([smhd])\s*", value)):
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    if isinstance(value, timedelta):
        return value
    raise ValueError('write a duration as a number and s, m, h or d, such as "15m" or "6h"')


def format_duration(value: timedelta) -> str:
    """Write a duration as the file does, in the largest unit that holds it whole: ``"15m"``."""
    sizes = {unit: timedelta(**{name: 1}) for unit, name in reversed(_UNITS.items())}
    unit = next((unit for unit, size in sizes.items() if value and not value % size), "s")
    return f"{value // sizes[unit]}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+\s*[smhd]$")]),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]


class FileSchema(GenerateJsonSchema):
    """Makes JSON Schemas whose defaults are written as the file writes them."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as JSON; a duration as ``"15m"``."""
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


class Section(BaseModel):
    """A table of the configuration file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(Section):
    """Where the mentions are kept."""

    url: str = Field(
        default="sqlite:///listener.db",
        description="SQLAlchemy URL: sqlite:///FILE (relative to this file) or postgresql+psycopg://…",
    )
    read_url: str | None = Field(
        default=None,
        description="Where query, summary and status read instead: a replica of the store, as an URL like url's. "
        "Nothing is ever written there.",
    )


class PrivacySettings(Section):
    """What is kept of the people who wrote."""

    author_key: AuthorKey = Field(
        default="weekly",
        description="How authors are pseudonymised: none keeps nothing, weekly counts unique authors within a "
        "week and follows nobody further, stable keeps one pseudonym for ever.",
    )


class TopicsSettings(Section):
    """Which taxonomy tags the mentions."""

    file: Path | None = Field(
        default=None,
        description="A taxonomy file of your own (relative to this file); default: the shipped one.",
    )


class StreamSettings(BaseModel):
    """One thing pulled on a schedule; further keys belong to the channel's connector."""

    model_config = ConfigDict(extra="allow", frozen=True)

    channel: str = Field(description="The platform: twitter, reddit or youtube.")
    kind: str = Field(default="search", description="What is pulled; each connector names its kinds.")
    query: str = Field(default="", description="The platform's own search expression.")
    every: Duration = Field(default=timedelta(hours=1), description="How often: a number and s, m, h or d.")

    @property
    def options(self) -> dict[str, Any]:
        """The keys that only the channel's connector knows."""
        return dict(self.__pydantic_extra__ or {})

    @field_validator("every")
    @classmethod
    def _not_frantic(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=10):
            raise ValueError("pull no more often than every 10 seconds")
        return value


class OrganizationSettings(Section):
    """A hospital or site that is listened for."""

    slug: str = Field(description="Short lower-case name with hyphens, used in commands and files.")
    name: str = Field(min_length=1, description="The full name.")
    timezone: str = Field(default="UTC", description="IANA time zone: days and weeks are counted in it.")
    aliases: tuple[str, ...] = Field(default=(), description="Other names and @handles people use for it.")
    own_accounts: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="By channel: the ids or handles the hospital itself writes under."
    )
    streams: tuple[StreamSettings, ...] = Field(default=(), description="What is pulled, and how often.")

    @field_validator("slug")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not _SLUG.fullmatch(value):
            raise ValueError('use lower-case letters, digits and single hyphens, such as "st-elsewhere"')
        if value == _EVERY_ORGANIZATION:
            raise ValueError('"all" stands for every organization together; choose another slug')
        return value

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        known = available_timezones()
        if value not in known:
            raise ValueError(f"no such time zone{nearest(value, known)}; use an IANA name")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that days and weeks are counted in."""
        return ZoneInfo(self.timezone)

    @property
    def names(self) -> tuple[str, ...]:
        """The name and every alias."""
        return (self.name, *self.aliases)


class Settings(Section):
    """Everything Listener is told: the file's tables, and the environment it was started in."""

    store: StoreSettings = StoreSettings()
    privacy: PrivacySettings = PrivacySettings()
    topics: TopicsSettings = TopicsSettings()
    connectors: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, description="One table a channel; its keys are the connector's own."
    )
    organizations: tuple[OrganizationSettings, ...] = ()

    path: Path | None = Field(default=None, exclude=True, description="The file this was read from.")
    environment: Mapping[str, str] = Field(default_factory=dict, exclude=True, repr=False)

    @field_validator("organizations")
    @classmethod
    def _unique(cls, value: tuple[OrganizationSettings, ...]) -> tuple[OrganizationSettings, ...]:
        seen: set[str] = set()
        for organization in value:
            if organization.slug in seen:
                raise ValueError(f"two organizations have the slug {organization.slug!r}; each needs its own")
            seen.add(organization.slug)
        return value

    @property
    def origin(self) -> str:
        """How errors name the file."""
        return str(self.path) if self.path else "the configuration"

    @property
    def folder(self) -> Path:
        """What relative paths in the file start from."""
        return self.path.resolve().parent if self.path else Path.cwd()

    @property
    def database_url(self) -> str:
        """The store's URL: ``LISTENER_DATABASE_URL`` where it is set, else the file's."""
        secret = self.secret("LISTENER_DATABASE_URL")
        return self._beside_the_file(secret.get_secret_value() if secret else self.store.url)

    @property
    def read_url(self) -> str | None:
        """The URL of a replica of the store: ``LISTENER_READ_DATABASE_URL`` where it is set, else the file's."""
        secret = self.secret("LISTENER_READ_DATABASE_URL")
        url = secret.get_secret_value() if secret else self.store.read_url
        return None if url is None else self._beside_the_file(url)

    def _beside_the_file(self, url: str) -> str:
        prefix = "sqlite:///"
        if url.startswith(prefix) and (name := url.removeprefix(prefix)) not in ("", ":memory:"):
            return prefix + str(self.folder / name)
        return url

    @property
    def topics_file(self) -> Path | None:
        """The taxonomy file that was asked for, or None for the shipped one."""
        return self.folder / self.topics.file if self.topics.file else None

    @property
    def author_secret(self) -> SecretStr | None:
        """The key that authors' pseudonyms are made with (``LISTENER_AUTHOR_KEY``).

        Raises ``ConfigError`` where ``privacy.author_key`` needs one and none is set.
        """
        if self.privacy.author_key == "none":
            return None
        secret = self.secret("LISTENER_AUTHOR_KEY")
        if secret is None:
            raise ConfigError(
                f'privacy.author_key = "{self.privacy.author_key}" in {self.origin} needs the secret '
                "LISTENER_AUTHOR_KEY: `listener init` writes one into .env, or set 32 random characters"
            )
        return secret

    def secret(self, name: str) -> SecretStr | None:
        """Return the secret ``name``, or what the file named by ``name + "_FILE"`` holds, or None.

        Raises ``ConfigError`` where that file cannot be read or is empty.
        """
        if value := self.environment.get(name):
            return SecretStr(value)
        if filename := self.environment.get(f"{name}_FILE"):
            try:
                value = Path(filename).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{name}_FILE names {filename}, which cannot be read: {error}") from error
            if not value:
                raise ConfigError(f"{name}_FILE names {filename}, which is empty: write the secret into it")
            return SecretStr(value)
        return None

    def organization(self, slug: str) -> OrganizationSettings:
        """Return the organization called ``slug``; raises ``ConfigError`` with the nearest known slug."""
        for organization in self.organizations:
            if organization.slug == slug:
                return organization
        known = [organization.slug for organization in self.organizations]
        raise ConfigError(f"no organization {slug!r} in {self.origin}{nearest(slug, known)}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known word, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def load(path: Path, *, env_file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read and validate the configuration file ``path``.

    Secrets come from ``environ`` (default: the process's own), then from ``env_file`` (default: ``.env``
    beside the configuration, if there is one). Raises ``ConfigError`` naming file, key, value and fix.
    """
    try:
        # Editors on Windows put a byte order mark in front, which TOML does not allow.
        document = tomli.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration at {path}: run `listener init` or name one with --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except tomli.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for reserved in ("path", "environment"):
        if reserved in document:
            raise ConfigError(f"{path}: unknown key {reserved}{nearest(reserved, _keys(Settings))}")
    environment = _environment(path, env_file, os.environ if environ is None else environ)
    return parse(Settings, {**document, "path": path, "environment": environment}, origin=str(path))


def _environment(path: Path, env_file: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    if env_file is not None and not env_file.is_file():
        raise ConfigError(f"no environment file at {env_file}: check --env-file")
    chosen = env_file or path.parent / ".env"
    try:
        from_file = dotenv_values(chosen, interpolate=False) if chosen.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{chosen} cannot be read: {error}") from error
    # A secret that the environment names a file for is said there: the .env beside it does not go before.
    said = environ.keys() | {name.removesuffix("_FILE") for name, value in environ.items() if value}
    merged = {name: value for name, value in from_file.items() if value is not None and name not in said}
    merged.update(environ)
    return {name: value for name, value in merged.items() if name.startswith("LISTENER_")}


Model = TypeVar("Model", bound=BaseModel)


def parse(
    model: type[Model], values: Mapping[str, Any], *, origin: str, prefix: str = "", beside: Iterable[str] = ()
) -> Model:
    """Validate ``values`` as ``model``; raises ``ConfigError`` with one line for each thing wrong.

    ``origin`` is the file and ``prefix`` the dotted path of the table that ``values`` stand in. ``beside``
    names the table's keys that are not the model's: they may be what an unknown key was meant to be.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_explain(model, problem, prefix, beside) for problem in error.errors(include_url=False)]
        raise ConfigError("\n".join(f"{origin}: {line}" for line in lines)) from error


def _explain(model: type[BaseModel], problem: Any, prefix: str, beside: Iterable[str]) -> str:
    where = tuple(part for part in problem["loc"] if part != "[key]")
    key = prefix + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    if problem["type"] == "extra_forbidden":
        known = [*_keys(_model_at(model, where[:-1])), *(beside if len(where) == 1 else ())]
        return f"unknown key {key}{nearest(str(where[-1]), known)}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    # Whoever writes TOML knows lists and tables, not Python's words for them.
    message = message.replace("a valid tuple", "a list").replace("a valid dictionary", "a table")
    message = re.sub(r" or instance of \w+$", "", message)
    return f"{key} = {problem['input']!r}: {message[:1].lower()}{message[1:]}"


def _keys(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _model_at(model: type[BaseModel], where: tuple[Any, ...]) -> type[BaseModel]:
    for part in where:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            for candidate in (annotation, *get_args(annotation)):
                if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                    model = candidate
    return model
