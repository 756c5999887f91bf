"""Every request: its id, its session, and the headers of its answer."""

from contextlib import suppress

from flask import Flask, Request, Response, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from post.telemetry.request_info import RequestInfo, attach_caller, attach_request_info
from post.utils import choose_request_id
from post.validators import UPLOAD_MAX_BYTES
from post.web.rate_limits import rate_limit_headers

BUFFER_BYTES = 64 * 1024


class NullSessions(SecureCookieSessionInterface):
    """
    Opens and saves sessions as Flask does, but only if there is one.

    Flask makes a signer for every request, and reads seven settings at its end. Callers here have
    tokens, so that hardly any request has a cookie.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session in the request's cookie, or an empty one."""
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie if the session was used or has values."""
        if session or session.accessed:
            super().save_session(app, session, response)


def init_requests(app: Flask) -> None:
    """Give every request an id, and every answer the common headers."""
    app.session_interface = NullSessions()

    @app.before_request
    def name_request() -> None:
        environ, rule = request.environ, request.url_rule
        g.request_id = request_id = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
        attach_request_info(environ, RequestInfo(request_id, rule.rule if rule else None))

    @app.after_request
    def add_headers(response: Response) -> Response:
        attach_caller(request.environ, g.get("caller"))
        headers = response.headers
        # For caches: CORS headers depend on Origin, even if it is absent. Not ``response.vary``, which parses it twice.
        headers["Vary"] = ", ".join([*headers.getlist("Vary"), "Origin"])
        # Unless a route sets it: a cache must not show one caller's answer to another.
        if not headers.getlist("Cache-Control"):
            headers.add("Cache-Control", "no-store")
        headers.add("X-Request-ID", g.request_id)
        headers.add("X-Content-Type-Options", "nosniff")
        for name, value in rate_limit_headers().items():
            headers.add(name, value)
        return response

    @app.teardown_request
    def read_rest(_error: BaseException | None) -> None:
        # Gunicorn closes a connection with more of a body unread; nginx, which still sends it, loses the answer.
        environ = request.environ
        if "CONTENT_LENGTH" in environ and BUFFER_BYTES < (request.content_length or 0) <= UPLOAD_MAX_BYTES:
            body = environ["wsgi.input"]
            with suppress(ConnectionError):  # the client has gone, and gets no answer
                while body.read(BUFFER_BYTES):
                    pass
