"""Settings: every variable the service reads from its environment, checked once at start."""

import ipaddress
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from limits import parse_many
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from post.setting_urls import (
    MAX_PORT,
    check_base_url,
    check_database_url,
    check_origin,
    check_redis_url,
    check_replica_url,
)

PROJECT_ROOT = Path(__file__).resolve().parent
IMAGE_DEFAULTS = Path("/etc/post-service/image.env")  # written by the Dockerfile; in no other place
SECRET_KEY_MIN_CHARS = 16
RATE_MAX, RATE_PERIOD_MAX_SECONDS = 10**9, 366 * 86_400
SITE_ORIGINS = ("https://hhottdogg.shop", "https://www.hhottdogg.shop")
DEVELOPMENT_ORIGINS = ("http://localhost:3000", "http://localhost:5173")
REQUIRED_IN_PRODUCTION = ("SECRET_KEY", "DATABASE_URL", "COGNITO_USER_POOL_ID", "COGNITO_REGION", "COGNITO_CLIENT_ID")


class ConfigError(Exception):
    """Settings are missing or wrong; ``str()`` has one line for each variable."""


def _rate_limit(value: str) -> str:
    try:
        limits = parse_many(value)
    except ValueError:
        limits = []
    # A larger amount is a slip, and no number that windows can be counted with.
    is_usable = all(1 <= limit.amount <= RATE_MAX and limit.get_expiry() <= RATE_PERIOD_MAX_SECONDS for limit in limits)
    if not limits or not is_usable:
        raise ValueError("must be a rate such as 600/minute")
    return value


def _shaped(pattern: str, shape: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {shape}")
        return value

    return AfterValidator(check)


def _prefix(value: str) -> str:
    folders = [part for part in value.split("/") if part]
    if not all(re.fullmatch(r"[\w.-]+", part, re.ASCII) for part in folders) or {".", ".."} & set(folders):
        raise ValueError("must be a folder in the bucket such as post-images")
    return "".join(f"{part}/" for part in folders)


def _log_level(value: str) -> str:
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return value.upper()


def _host(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if value != "localhost":
            raise ValueError("must be an IP address to listen on, such as 0.0.0.0") from None
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _whole_number(value: Any) -> Any:
    # Pydantic would also read "8082.0" and "8_082".
    if isinstance(value, str) and not value.isdecimal():
        raise ValueError("must be a whole number")
    return value


def _from_commas(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part for part in (item.strip() for item in value.split(",")) if part)


# S3 User Guide: "General purpose bucket naming rules"
BucketName = Annotated[str, _shaped(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket")]
Region = Annotated[str, _shaped(r"[a-z]{2}(-[a-z]+)+-\d", "a region such as ap-northeast-2")]
Domain = Annotated[str, _shaped(r"([\w-]+\.)+[a-zA-Z]{2,}", "a domain such as d111111abcdef8.cloudfront.net")]
# CloudFront API reference: Invalidation
DistributionId = Annotated[str, _shaped(r"[A-Z0-9]{8,32}", "the id of a distribution such as E1A2B3C4D5E6F7")]
CommaList = Annotated[tuple[str, ...], BeforeValidator(_from_commas)]


class Settings(BaseModel):
    """
    The service's settings, by the names of their environment variables in lower case.

    An unset or empty variable takes its default; those of ``REQUIRED_IN_PRODUCTION`` have one in development alone.
    """

    # The strings below the fields are their descriptions; ``make docs`` writes docs/settings.md from them.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    flask_app: str = "app.py"
    """File in which `flask` finds the application."""
    flask_env: Literal["development", "production"] = "development"
    """`development` or `production`. The container image is `production` where this is unset or empty."""
    secret_key: str = Field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """
    Flask's key, random, the same on all replicas; in production of 16 characters at least (`openssl rand -hex 32`).
    Unset in development: a new one at each start.
    """
    instance_path: Annotated[Path, AfterValidator(Path.absolute)] = PROJECT_ROOT / "instance"
    """
    Folder of the SQLite file, the images, and the local issuer's key; the container image sets
    `/var/lib/post-service`.
    """
    cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(check_origin)], ...], BeforeValidator(_from_commas)
    ] = ()
    """Origins whose pages may call the API, separated by commas."""
    like_requires_auth: bool = True
    """`false` lets a client without a token like by the body's `user_id`."""
    category_creation: Literal["anyone", "admins"] = "anyone"
    """Users who may create categories, alone or by a post with a new name: `anyone` with a token, or `admins`."""
    reports_to_hide: Annotated[int, Field(ge=0, le=10_000), BeforeValidator(_whole_number)] = 0
    """Open reports that hide a post until an admin decides; each is another user's. 0 hides none."""
    site_path: Annotated[Path, AfterValidator(Path.absolute)] = PROJECT_ROOT / "site" / "dist"
    """
    Folder of the built site, which `/` then shows. A build of other sources than those beside it is not served.
    """

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    """Address to listen on; the container image sets `0.0.0.0`."""
    port: Annotated[int, Field(ge=1, le=MAX_PORT), BeforeValidator(_whole_number)] = 8082
    """Port to listen on."""
    public_url: Annotated[str, AfterValidator(check_base_url)] | None = Field(
        default_factory=lambda values: (
            None if values.get("flask_env") == "production" else f"http://localhost:{values['port']}"
        )
    )
    """
    Base URL at which browsers reach the service, for the URLs of images where `CLOUDFRONT_DOMAIN` is unset, and for
    those of posts in the feed and in link previews. Unset in production: images have paths, and posts the first of
    `CORS_ORIGINS`.
    """
    metrics_port: Annotated[int, Field(ge=1, le=MAX_PORT), BeforeValidator(_whole_number)] = 9102
    """Port of `/metrics` for Prometheus, at the address of `HOST`; never `PORT`."""
    web_concurrency: Annotated[int, Field(ge=1, le=64), BeforeValidator(_whole_number)] = 2
    """Workers of gunicorn."""
    web_threads: Annotated[int, Field(ge=1, le=256), BeforeValidator(_whole_number)] = 12
    """
    Threads of each worker. A worker opens up to 2 × (`WEB_THREADS` + 2) database connections, and half as many to a
    replica.
    """
    keepalive_seconds: Annotated[int, Field(ge=1, le=3600), BeforeValidator(_whole_number)] = 75
    """
    Seconds for which gunicorn keeps an idle connection: longer than what calls it does, or requests are lost. nginx in
    the pod keeps its own for 30 s, and a load balancer often for 60 s.
    """
    trusted_proxy_hops: Annotated[int, Field(ge=0, le=10), BeforeValidator(_whole_number)] = 0
    """Our own proxies before gunicorn, nginx included, whose addresses count. 0: the peer's counts, and no header."""
    trusted_proxy_header: Annotated[
        Literal["x-forwarded-for", "forwarded", "cloudfront-viewer-address"], BeforeValidator(_lower)
    ] = "x-forwarded-for"
    """
    Header in which those proxies name who called them: `x-forwarded-for`, `forwarded` (RFC 7239; HTTP APIs of API
    Gateway send it) or `cloudfront-viewer-address`.
    """

    database_url: Annotated[str, AfterValidator(check_database_url)] = Field(
        default_factory=lambda values: f"sqlite:///{values['instance_path'] / 'postdb.sqlite3'}", repr=False
    )
    """
    `mysql+pymysql://user:password@host:3306/postdb` or `sqlite:///path`. With `?ssl_ca=FILE`, MySQL must have a
    certificate for that host, signed by an authority in the file. Unset in development: SQLite in `INSTANCE_PATH`.
    """
    database_replica_url: Annotated[str, AfterValidator(check_replica_url)] | None = Field(default=None, repr=False)
    """Read replica of `DATABASE_URL`, in MySQL's form: one server, not a name for several."""
    database_replica_lag_seconds: Annotated[int, Field(ge=1, le=300), BeforeValidator(_whole_number)] = 5
    """Seconds that the replica may be behind. For so long a user who has written reads from the primary."""
    database_connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 1
    """Seconds that a request waits for a new connection to MySQL; commands wait longer."""
    # More than 1: the shortest wait for a row's lock is a second.
    database_read_timeout_seconds: Annotated[float, Field(gt=1, le=60)] = 1.25
    """Seconds that a request waits for MySQL's answer to a query; commands wait longer."""
    database_pool_timeout_seconds: Annotated[float, Field(ge=0, le=60)] = 1
    """Seconds that a request waits for a connection that another thread uses."""
    database_pool_recycle_seconds: Annotated[int, Field(ge=1, le=28_800), BeforeValidator(_whole_number)] = 280
    """Age in seconds at which a connection is replaced."""

    cognito_user_pool_id: Annotated[str, Field(pattern=r"^[\w-]+_[0-9A-Za-z]+$")] | None = None
    """Cognito pool whose tokens are accepted. Unset in development: the local issuer signs tokens."""
    cognito_region: Region | None = None
    """Region of the pool."""
    cognito_client_id: CommaList = ()
    """App clients of the pool whose tokens are accepted, separated by commas; the first is the site's."""
    cognito_domain: Annotated[str, AfterValidator(check_base_url)] | None = None
    """
    Base URL of the pool's hosted sign-in page, such as `https://board.auth.ap-northeast-2.amazoncognito.com`. Unset:
    the site lets nobody sign in with the pool.
    """
    aws_endpoint_url_cognito_identity_provider: Annotated[str, AfterValidator(check_base_url)] | None = None
    """Base URL for the pool's keys and API instead of AWS's; `iss` stays AWS's."""

    s3_bucket_name: BucketName | None = None
    """Bucket that keeps images. Unset: files in `INSTANCE_PATH`."""
    s3_region: Region = "ap-northeast-2"
    """Region of the bucket."""
    s3_folder_prefix: Annotated[str, AfterValidator(_prefix)] = ""
    """Folder in the bucket."""
    cloudfront_domain: Domain | None = None
    """Domain in images' URLs, such as `d111111abcdef8.cloudfront.net`. Unset: the service serves them."""
    cloudfront_distribution_id: DistributionId | None = None
    """Distribution of that domain, which forgets the images of posts that are erased for good. Unset: it keeps them."""
    aws_endpoint_url_s3: Annotated[str, AfterValidator(check_base_url)] | None = None
    """Base URL for S3 instead of AWS's."""
    aws_endpoint_url_cloudfront: Annotated[str, AfterValidator(check_base_url)] | None = None
    """Base URL for CloudFront's API instead of AWS's."""
    aws_access_key_id: str | None = Field(default=None, repr=False)
    """Credentials for S3, CloudFront and Cognito. Unset: the AWS SDK's own chain, such as a pod's role."""
    aws_secret_access_key: str | None = Field(default=None, repr=False)
    """As above; both or neither."""
    aws_session_token: str | None = Field(default=None, repr=False)
    """As above, for temporary credentials."""

    comment_service_url: Annotated[str, AfterValidator(check_base_url)] | None = None
    """
    Base URL of the Comment Service, which is asked for the number of comments of posts that are read, a post once a
    minute at most. Unset: nobody is asked, and the service sends counts itself.
    """

    redis_url: Annotated[str, AfterValidator(check_redis_url)] | None = Field(default=None, repr=False)
    """
    State that replicas share: `redis://user:password@host:6379/0`, or `rediss://` with TLS. `SECRET_KEY` must then be
    the same on all replicas. Unset: each replica counts for itself.
    """
    redis_timeout_ms: Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole_number)] = 25
    """Milliseconds to wait for a connection to Redis, or an answer, before going on without it."""
    view_window_seconds: Annotated[int, Field(ge=1, le=86_400), BeforeValidator(_whole_number)] = 120
    """Seconds for which an address's further views of a post do not count."""
    view_flush_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        default_factory=lambda values: 0 if values["database_url"].startswith("sqlite") else 1
    )
    """Seconds for which views are collected, to be written together. 0 writes each at once."""
    ratelimit_read: Annotated[str, AfterValidator(_rate_limit)] = "600/minute"
    """Reads of a user, or of an address without a token, such as `10/second;600/minute`. Images count apart."""
    ratelimit_write: Annotated[str, AfterValidator(_rate_limit)] = "60/minute"
    """Writes, likewise."""

    log_level: Annotated[str, AfterValidator(_log_level)] = "INFO"
    """`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    slow_query_ms: Annotated[int, Field(ge=0, le=60_000), BeforeValidator(_whole_number)] = 500
    """Milliseconds from which on a statement is logged, with its SQL and without its values. 0 logs none."""
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(check_base_url)] | None = None
    """
    Base URL of an OpenTelemetry collector that gets traces (OTLP over HTTP), such as `http://localhost:4318`. The SDK
    reads its other `OTEL_*` variables itself, such as `OTEL_SERVICE_NAME` and `OTEL_TRACES_SAMPLER`. Unset: no traces.
    """

    @property
    def is_production(self) -> bool:
        """True if the service faces the internet: no local issuer, no generated values."""
        return self.flask_env == "production"

    @property
    def names_key(self) -> str:
        """The key of names in Redis, the same on all replicas: never a ``secret_key`` that each has generated."""
        return self.secret_key if "secret_key" in self.model_fields_set else "development"

    @property
    def replica_lag_seconds(self) -> int:
        """Seconds that a read may be behind the last write; 0 without a replica."""
        return self.database_replica_lag_seconds if self.database_replica_url else 0

    @property
    def uses_local_issuer(self) -> bool:
        """True if this service signs its own tokens: in development without a pool."""
        return not self.is_production and self.cognito_user_pool_id is None

    @property
    def site_url(self) -> str:
        """The base URL of the site's pages in the feed and in link previews; in production a site's, never a host's."""
        return self.public_url or next(iter(self.cors_origins), SITE_ORIGINS[0])

    @property
    def token_issuer(self) -> str:
        """The exact ``iss`` of accepted tokens (AWS: "Verifying a JSON web token")."""
        if self.uses_local_issuer:
            return f"http://localhost:{self.port}/dev"
        return f"https://cognito-idp.{self.cognito_region}.amazonaws.com/{self.cognito_user_pool_id}"

    @property
    def jwks_url(self) -> str:
        """The URL of the pool's keys; the AWS SDKs' variable of its endpoint applies to it as to the API."""
        base = self.aws_endpoint_url_cognito_identity_provider
        base = base or f"https://cognito-idp.{self.cognito_region}.amazonaws.com"
        return f"{base}/{self.cognito_user_pool_id}/.well-known/jwks.json"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_environment(cls, values: dict[str, Any]) -> dict[str, Any]:
        production = values.get("flask_env") == "production"
        origins = SITE_ORIGINS if production else (*SITE_ORIGINS, *DEVELOPMENT_ORIGINS)
        # In development anyone who reaches the port may sign tokens, so it listens on this machine alone.
        host = "0.0.0.0" if production else "127.0.0.1"  # noqa: S104 - a container's only way
        return {"cors_origins": origins, "host": host} | values

    @model_validator(mode="after")
    def _key_is_long(self) -> Self:
        if self.is_production and len(self.secret_key.strip()) < SECRET_KEY_MIN_CHARS:
            raise ValueError(
                f"SECRET_KEY: must have {SECRET_KEY_MIN_CHARS} characters at least when FLASK_ENV=production, "
                "at random: openssl rand -hex 32"
            )
        return self

    @model_validator(mode="after")
    def _replica_is_of_the_database(self) -> Self:
        if self.database_replica_url and self.database_url.startswith("sqlite"):
            raise ValueError("DATABASE_REPLICA_URL: must be unset unless DATABASE_URL is a MySQL server's")
        return self

    @model_validator(mode="after")
    def _pool_is_whole(self) -> Self:
        pool = (self.cognito_user_pool_id, self.cognito_region, self.cognito_client_id)
        if any(pool) and not all(pool):
            names = "COGNITO_USER_POOL_ID, COGNITO_REGION, COGNITO_CLIENT_ID"
            raise ValueError(f"{names}: must be set together or not at all")
        if self.cognito_domain and not self.cognito_user_pool_id:
            raise ValueError("COGNITO_USER_POOL_ID: must be set if COGNITO_DOMAIN is")
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.metrics_port == self.port:
            raise ValueError("METRICS_PORT: must differ from PORT, which is public")
        return self

    @model_validator(mode="after")
    def _images_have_one_place(self) -> Self:
        if self.cloudfront_domain and not self.s3_bucket_name:
            raise ValueError("S3_BUCKET_NAME: must be set if CLOUDFRONT_DOMAIN is, which serves the bucket's images")
        if self.cloudfront_distribution_id and not self.cloudfront_domain:
            raise ValueError("CLOUDFRONT_DOMAIN: must be set if CLOUDFRONT_DISTRIBUTION_ID is")
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise ValueError("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: must be set together or not at all")
        return self


def environment() -> dict[str, str]:
    """
    Return the process's variables by name; outside production, those of the ``.env`` file too.

    The process's own win, and nothing is written back to ``os.environ``. In the container image an unset or empty
    variable has the image's value: ``--env-file`` with an empty ``FLASK_ENV`` must not start development there.
    """
    of_image = {name: value for name, value in _variables_in(IMAGE_DEFAULTS).items() if not os.environ.get(name)}
    own = dict(os.environ) | of_image
    return own if own.get("FLASK_ENV") == "production" else _variables_in(PROJECT_ROOT / ".env") | own


def _variables_in(file: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(file).items() if value is not None}


def load_config(env: Mapping[str, Any] | None = None) -> Settings:
    """
    Read and check the settings.

    Args:
        env: Variables by name, as in docs/settings.md; the process's environment when None.

    Returns:
        The settings, with defaults for unset and empty variables.

    Raises:
        ConfigError: Variables are missing or wrong; one line for each.
    """
    env = environment() if env is None else env
    values = {name: env[name.upper()] for name in Settings.model_fields if env.get(name.upper()) not in (None, "")}
    if values.get("flask_env") == "production":
        missing = [name for name in REQUIRED_IN_PRODUCTION if name.lower() not in values]
        if missing:
            raise ConfigError("\n".join(f"{name}: must be set when FLASK_ENV=production" for name in missing))
    try:
        return Settings.model_validate(values)
    except ValidationError as exc:
        raise ConfigError("\n".join(dict.fromkeys(_line(error) for error in exc.errors() if _is_own(error)))) from None


def _is_own(error: Any) -> bool:
    # A default that depends on another setting is not computed if that one is wrong; that one has its own error.
    return bool(error["type"] != "default_factory_not_called")


def _line(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    message = message.replace("Input should", "must").replace("String should", "must")
    return f"{str(error['loc'][0]).upper()}: {message}"


@contextmanager
def exit_if_unfit() -> Iterator[None]:
    """End the process if the block raises ``ConfigError``, with a line on stderr for each wrong variable."""
    try:
        yield
    except ConfigError as exc:
        sys.exit(str(exc))
