"""The application: ``create_app``, and ``app`` for gunicorn and ``flask``."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import click
from flask import Flask
from flask_openapi import OpenAPI
from jose.exceptions import JOSEError

from config import PROJECT_ROOT, ConfigError, Settings, environment, exit_if_unfit, load_config
from post import routes, services
from post.auth_utils.dev_issuer import CLIENT_ID, DevIssuer
from post.auth_utils.jwks import JwksClient, fetch_jwks
from post.auth_utils.tokens import TokenVerifier
from post.aws import CLOUDFRONT_REGION, CloudFrontImages, CognitoUsers, new_client
from post.cli import commands
from post.components import EXTENSION, Components
from post.database.engines import database_config
from post.database.instrumentation import watch
from post.database.schema import DatabaseUnusableError, init_migrations, prepare_schema
from post.database.servers import guard_servers
from post.images.cleaner import ImageCleaner
from post.images.storage import FileStorage, ImageStorage, S3Storage
from post.models import db
from post.openapi.document import new_openapi_app
from post.routes import internal, system
from post.routes import site as site_routes
from post.shared.category_cache import CategoryCache, NoCategoryCache
from post.shared.comment_counter import CommentCounter, fetch_comment_total
from post.shared.memory import Counters, SharedCounters
from post.shared.rate_windows import MemoryRateWindows, RateWindows
from post.shared.task_runner import TaskRunner
from post.shared.view_counter import RememberedViews, ViewCounter, ViewWindow
from post.telemetry.logs import init_logging
from post.telemetry.report_gauges import ReportGauges
from post.validators import JSON_MAX_BYTES
from post.web.client_address import init_client_address
from post.web.cors import init_cors
from post.web.error_answers import init_errors
from post.web.rate_limits import init_rate_limits
from post.web.read_routing import init_read_routing
from post.web.requests import init_requests
from post.web.site import Site, load_site

IMAGES_PATH = "/api/v1/images/"
THREADS_KEPT_FREE = 2  # of each worker, for other requests than uploads; by default ten may wait for images


def create_app(config: Settings | Mapping[str, Any] | None = None, *, for_command: bool = False) -> OpenAPI:
    """
    Build the application; unless it is for a command, create its database and upgrade the schema.

    Args:
        config: Settings; None for those of the environment; or variables by name that override the
            environment's, with Flask's own (such as ``TESTING``) among them.
        for_command: For a command of ``flask``: it waits longer for the database, and changes the
            schema itself if that is its purpose.

    Returns:
        The Flask application.

    Raises:
        ConfigError: A setting is missing or wrong, or the database cannot be used.
    """
    settings = config if isinstance(config, Settings) else load_config({**environment(), **(config or {})})
    init_logging(settings.log_level, as_json=settings.is_production)
    app = new_openapi_app(__name__)
    app.url_map.merge_slashes = False  # Werkzeug would redirect to any host that the client names
    _init_config(app, settings, config if isinstance(config, Mapping) else {}, for_command=for_command)
    _trace_requests(app, settings)  # before all other hooks, and inside the next
    init_client_address(app, hops=settings.trusted_proxy_hops, header=settings.trusted_proxy_header)
    init_requests(app)
    site = None if for_command else load_site(settings)
    init_errors(app, page_for_error=site.page_for_error if site else None)
    init_cors(app, origins=settings.cors_origins)
    db.init_app(app)
    _watch_database(app, settings)
    commands.register(app)
    for blueprint in (*routes.BLUEPRINTS, system.bp, site_routes.bp):
        app.register_api(blueprint)
    app.register_blueprint(internal.bp)  # not of the API, and so not in its document
    if site is not None:
        site_routes.register(app, site)
    if settings.uses_local_issuer:
        app.register_api(system.dev_bp)
    app.extensions[EXTENSION] = _components(app, settings, site)
    if for_command:
        init_migrations(app)
    else:
        _prepare_schema(app)
    with app.app_context():
        guard_servers()
    return app


def _init_config(app: Flask, settings: Settings, overrides: Mapping[str, Any], *, for_command: bool) -> None:
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        MAX_CONTENT_LENGTH=JSON_MAX_BYTES,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.is_production,
    )
    app.config.update({name: value for name, value in overrides.items() if name.lower() not in Settings.model_fields})
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    for name, value in database_config(url, settings, for_command=for_command).items():
        app.config.setdefault(name, value)


def _trace_requests(app: Flask, settings: Settings) -> None:
    if settings.otel_exporter_otlp_endpoint:
        from post.telemetry import tracing  # noqa: PLC0415 - only with traces

        tracing.trace_requests(app, with_redis=settings.redis_url is not None)


def _watch_database(app: Flask, settings: Settings) -> None:
    with app.app_context():
        engines = list(db.engines.values())
    for engine in engines:
        watch(engine, slow_query_ms=settings.slow_query_ms)
    if settings.otel_exporter_otlp_endpoint:
        from post.telemetry import tracing  # noqa: PLC0415 - as above

        tracing.trace_queries(engines)


def _components(app: OpenAPI, settings: Settings, site: Site | None) -> Components:
    issuer = _dev_issuer(settings)
    redis, views, limits, categories, writers = _shared_state(settings)
    limiter = init_rate_limits(app, settings, limits)
    init_read_routing(app, settings, writers)
    return Components(
        settings=settings,
        verifier=_verifier(settings, issuer),
        restriction_of=services.restriction_of,
        dev_issuer=issuer,
        user_directory=_user_directory(settings),
        image_storage=_image_storage(settings),
        image_cdn=_image_cdn(settings),
        image_cleaner=ImageCleaner(waiting_max=max(1, settings.web_threads - THREADS_KEPT_FREE)),
        category_cache=categories,
        view_counter=_view_counter(app, settings, views),
        comment_counter=_comment_counter(app, settings, redis),
        report_gauges=ReportGauges(services.report_backlog, context=app.app_context),
        task_runner=TaskRunner(services.work_at_tasks, context=app.app_context),
        limiter=limiter,
        redis=redis,
        site=site,
    )


def _shared_state(settings: Settings) -> tuple[Any, RememberedViews, RateWindows, CategoryCache, Counters]:
    """Return the client of Redis or None, and the stores of views, limits, categories and recent writers."""
    # One table each: a flood of views must not evict the limits, nor the other way round.
    window = ViewWindow(SharedCounters(), window_seconds=settings.view_window_seconds)
    limits: RateWindows = MemoryRateWindows(SharedCounters())
    views: RememberedViews = window
    writers: Counters = SharedCounters()
    categories: CategoryCache = NoCategoryCache()
    redis = None
    if settings.redis_url is not None:
        from post.shared.redis_backends import connect_redis_backends  # noqa: PLC0415 - the client takes 20 MB

        redis, views, limits, categories, writers = connect_redis_backends(
            settings.redis_url, settings, views=window, limits=limits, writers=writers
        )
    return redis, views, limits, categories, writers


def _prepare_schema(app: Flask) -> None:
    try:
        prepare_schema(app)
    except DatabaseUnusableError as exc:
        raise ConfigError(str(exc)) from exc


def _dev_issuer(settings: Settings) -> DevIssuer | None:
    if not settings.uses_local_issuer:
        return None
    try:
        return DevIssuer(settings.instance_path / "dev-issuer.pem", issuer=settings.token_issuer)
    except (OSError, JOSEError) as exc:
        raise ConfigError(f"INSTANCE_PATH: must have a valid dev-issuer.pem, or be writable: {exc}") from exc


def _verifier(settings: Settings, issuer: DevIssuer | None) -> TokenVerifier:
    fetch = issuer.jwks if issuer else lambda: fetch_jwks(settings.jwks_url)
    client_ids = (CLIENT_ID,) if issuer else settings.cognito_client_id
    return TokenVerifier(JwksClient(fetch), issuer=settings.token_issuer, client_ids=client_ids)


def _user_directory(settings: Settings) -> CognitoUsers | None:
    if settings.cognito_user_pool_id is None:
        return None
    endpoint = settings.aws_endpoint_url_cognito_identity_provider
    client = new_client("cognito-idp", settings, region=settings.cognito_region, endpoint_url=endpoint)
    return CognitoUsers(client, pool_id=settings.cognito_user_pool_id)


def _image_storage(settings: Settings) -> ImageStorage:
    own_url = f"{settings.public_url or ''}{IMAGES_PATH}"
    if settings.s3_bucket_name is None:
        return FileStorage(settings.instance_path / "images", base_url=own_url)
    client = new_client("s3", settings, region=settings.s3_region, endpoint_url=settings.aws_endpoint_url_s3)
    prefix = settings.s3_folder_prefix
    base_url = f"https://{settings.cloudfront_domain}/{prefix}" if settings.cloudfront_domain else own_url
    return S3Storage(client, bucket=settings.s3_bucket_name, prefix=prefix, base_url=base_url)


def _image_cdn(settings: Settings) -> CloudFrontImages | None:
    if settings.cloudfront_distribution_id is None:
        return None
    endpoint = settings.aws_endpoint_url_cloudfront
    client = new_client("cloudfront", settings, region=CLOUDFRONT_REGION, endpoint_url=endpoint)
    distribution_id, prefix = settings.cloudfront_distribution_id, settings.s3_folder_prefix
    return CloudFrontImages(client, distribution_id=distribution_id, prefix=prefix)


def _view_counter(app: Flask, settings: Settings, views: RememberedViews) -> ViewCounter:
    return ViewCounter(
        views,
        write=services.add_views,
        flush_seconds=settings.view_flush_seconds,
        lag_seconds=settings.replica_lag_seconds,
        context=app.app_context,
    )


def _comment_counter(app: Flask, settings: Settings, redis: Any) -> CommentCounter | None:
    if settings.comment_service_url is None:
        return None
    asked: Counters = SharedCounters()
    if redis is not None:
        from post.shared.redis_backends import RedisCounters  # noqa: PLC0415 - as above

        asked = RedisCounters(redis, asked, kind="comments")
    fetch = partial(fetch_comment_total, settings.comment_service_url)
    return CommentCounter(asked, fetch=fetch, write=services.store_comment_total, context=app.app_context)


def __getattr__(name: str) -> OpenAPI:
    """
    Build ``app`` on first access, so that importing this module has no effect.

    Gunicorn (``app:app``) and ``flask`` (``FLASK_APP=app.py``) both read it; ``flask`` does so within a command.
    """
    if name != "app":
        raise AttributeError(name)
    with exit_if_unfit():
        app = create_app(for_command=click.get_current_context(silent=True) is not None)
    globals()["app"] = app
    return app


def main() -> None:
    """Serve, as ``make run`` does."""
    from gunicorn.app.wsgiapp import WSGIApplication  # noqa: PLC0415 - only where it serves

    sys.argv = ["gunicorn", "-c", str(PROJECT_ROOT / "gunicorn.conf.py"), "app:app"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").run()


if __name__ == "__main__":
    main()
