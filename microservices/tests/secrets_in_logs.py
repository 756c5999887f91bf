"""A search of logs for e-mail addresses, tokens and passwords."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from microservices.tests.callers import SECRETS

# Any of them, whoever made it: a token has 43 characters, and no id or digest in a log has as many.
FORMS = (
    re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])"),
)


def found_in(folder: Path) -> list[str]:
    """What the logs of a folder have and must not, with the name of the file."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [f"{path.name}: {secret}" for path in files for secret in secrets_in(path.read_text(errors="replace"))]


def secrets_in(text: str) -> set[str]:
    """The secrets of a log: those that callers have used, and all that have the form of one."""
    return {secret for secret in SECRETS if any(form in text for form in forms_of(secret))} | set(formed_in(text))


def forms_of(secret: str) -> set[str]:
    """A secret as it is, in JSON, and in a URL."""
    return {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}


def formed_in(text: str) -> Iterator[str]:
    for form in FORMS:
        yield from form.findall(text)
