"""The pool's users, in Cognito."""

import logging
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from post.errors import AuthUnavailable

logger = logging.getLogger(__name__)


class CognitoUsers:
    """Disables and enables the users of a pool."""

    def __init__(self, client: Any, *, pool_id: str) -> None:
        """
        Make it.

        Args:
            client: boto3's, of ``cognito-idp``.
            pool_id: Such as ``ap-northeast-2_nneGIIVuJ``.
        """
        self._client = client
        self._pool_id = pool_id

    def disable(self, login: str) -> None:
        """
        Disable a user and end all their sessions; again changes nothing.

        Args:
            login: The pool's name of the user.

        Raises:
            AuthUnavailable: Cognito is away or refuses.
        """
        self._call(self._client.admin_disable_user, login)
        self._call(self._client.admin_user_global_sign_out, login)

    def enable(self, login: str) -> None:
        """Let a user log in again. Arguments and errors as for ``disable``."""
        self._call(self._client.admin_enable_user, login)

    def _call(self, action: Any, login: str) -> None:
        try:
            action(UserPoolId=self._pool_id, Username=login)
        except self._client.exceptions.UserNotFoundException:
            logger.warning("cognito_user_not_found", extra={"action": action.__name__})  # deleted since: nobody logs in
        except (BotoCoreError, ClientError) as exc:
            reason = f"{type(exc).__name__}: {exc}"
            logger.warning("cognito_failed", extra={"action": action.__name__, "reason": reason})
            raise AuthUnavailable from exc
