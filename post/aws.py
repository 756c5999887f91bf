"""Clients of AWS, with limits on how long a request waits for them."""

import logging
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from config import ConfigError, Settings
from post.errors import AuthUnavailable, StorageUnavailable
from post.utils import new_id

logger = logging.getLogger(__name__)


CONNECT_SECONDS = 3
READ_SECONDS = 10
ATTEMPTS = 2
CLOUDFRONT_REGION = "us-east-1"  # its API's only one
PATHS_MAX = 1000  # of one invalidation, of which CloudFront takes 3,000 at a time (its quotas)


def new_client(service: str, settings: Settings, *, region: str | None, endpoint_url: str | None) -> Any:
    """
    Return a client.

    Args:
        service: As boto3 names it, such as ``s3``.
        settings: For credentials and the number of threads; without a key the SDK's own chain finds one.
        region: Such as ``ap-northeast-2``.
        endpoint_url: Another base URL than AWS's; None leaves it to the SDK.

    Raises:
        ConfigError: The SDK refuses what it finds in the environment, such as an unknown profile.
    """
    import boto3  # noqa: PLC0415 - 25 MB in each worker, for those that use AWS
    from botocore.config import Config  # noqa: PLC0415 - likewise

    credentials = {
        "aws_access_key_id": settings.aws_access_key_id,
        "aws_secret_access_key": settings.aws_secret_access_key,
        "aws_session_token": settings.aws_session_token,
    }
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=settings.web_threads,
    )
    try:
        return boto3.Session(**credentials, region_name=region).client(
            service, endpoint_url=endpoint_url, config=config
        )
    except (BotoCoreError, ValueError) as exc:
        raise ConfigError(f"AWS: the variables that the AWS SDK reads must be usable: {exc}") from exc


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


class CloudFrontImages:
    """The copies of images that a distribution keeps."""

    def __init__(self, client: Any, *, distribution_id: str, prefix: str) -> None:
        """
        Make it.

        Args:
            client: boto3's, of ``cloudfront``.
            distribution_id: Such as ``E1A2B3C4D5E6F7``.
            prefix: The prefix of keys in the bucket: empty, or ending with a slash.
        """
        self._client = client
        self._distribution_id = distribution_id
        self._prefix = prefix

    def forget(self, keys: Sequence[str]) -> None:
        """
        Have the copies of objects dropped, within minutes; to be called once the bucket has them no more.

        Args:
            keys: The objects'.

        Raises:
            StorageUnavailable: CloudFront is away or refuses.
        """
        for start in range(0, len(keys), PATHS_MAX):
            paths = [f"/{self._prefix}{key}" for key in keys[start : start + PATHS_MAX]]
            batch = {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": new_id()}
            try:
                self._client.create_invalidation(DistributionId=self._distribution_id, InvalidationBatch=batch)
            except (BotoCoreError, ClientError) as exc:
                logger.warning("cloudfront_failed", extra={"reason": f"{type(exc).__name__}: {exc}"})
                raise StorageUnavailable from exc
