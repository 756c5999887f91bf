"""The log: JSON lines with the request's id, never with an address, a token or a password."""

from aws_lambda_powertools.logging import Logger

# Level and service come from LOG_LEVEL and POWERTOOLS_SERVICE_NAME, the trace's id from the runtime.
logger = Logger(utc=True, use_rfc3339=True)
