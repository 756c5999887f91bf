"""Tokens and callers: a bearer token in, the verified caller out."""

from post.auth_utils.guards import current_user, optional_caller, token_required
from post.auth_utils.tokens import TokenVerifier

__all__ = ["TokenVerifier", "current_user", "optional_caller", "token_required"]
