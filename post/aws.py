"""Clients of AWS, with limits on how long a request waits for them."""

from typing import Any

from botocore.exceptions import BotoCoreError

from config import ConfigError, Settings

CONNECT_SECONDS = 3
READ_SECONDS = 10
ATTEMPTS = 2


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
