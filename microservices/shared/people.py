"""People, alike in every service: the fields that they write, and the caller of a request."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

EMAIL_MAX_CHARS = 254  # RFC 5321, 4.5.3.1.3: a path of 256 with its angle brackets
NAME_MAX_CHARS = 100
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")  # printable ASCII; mail itself decides whether there is such an address
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request, as the authorizer has found them."""

    account_id: str
    user_id: str
    role: str

    @property
    def is_admin(self) -> bool:
        """True if the caller may act for others."""
        return self.role == "admin"


class StrictModel(BaseModel):
    """Fields of a body: a value of another type is an error, never converted."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def normalized_email(text: str) -> str | None:
    """
    Return an e-mail address in the form that is a user's id.

    Args:
        text: Address as a person wrote it.

    Returns:
        It, trimmed, A to Z in lower case; None if it is no address of at most 254 ASCII characters.
    """
    email = text.strip()
    if len(email) > EMAIL_MAX_CHARS or not _EMAIL.fullmatch(email):
        return None
    return email.lower()


def _checked_email(text: str) -> str:
    email = normalized_email(text)
    if email is None:
        raise PydanticCustomError("email", "Not an e-mail address of at most 254 ASCII characters")
    return email


def _checked_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= NAME_MAX_CHARS:
        raise PydanticCustomError("name", "Must have 1 to 100 characters")
    if _CONTROLS.search(name):
        raise PydanticCustomError("name", "Must have no control characters")
    return name


Email = Annotated[str, AfterValidator(_checked_email)]
Name = Annotated[str, AfterValidator(_checked_name)]
