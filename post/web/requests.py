"""Flask's sessions, at no cost to the requests that have none."""

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


class SparingSessions(SecureCookieSessionInterface):
    """
    Opens and saves sessions as Flask does, where there is one.

    Flask makes a signer at every request, and reads seven settings at its end. Callers are known
    by their tokens here, so that hardly any request has a cookie.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return what the request's cookie says."""
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie, unless nobody has looked at the session and there is nothing in it."""
        if session or session.accessed:
            super().save_session(app, session, response)
