"""Tokens and callers: a bearer token in, who sends the request out."""

from post.auth_utils.guards import current_user, optional_caller, token_required
from post.auth_utils.tokens import TokenVerifier

__all__ = ["TokenVerifier", "current_user", "optional_caller", "token_required"]
