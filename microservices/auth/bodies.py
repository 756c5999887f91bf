"""Bodies of the auth routes: an absent field is told by the contract's own text, a wrong one by its details."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from shared.errors import BadRequest
from shared.http import check_body
from shared.people import Email, Name, StrictModel

PASSWORD_MIN_CHARS, PASSWORD_MAX_CHARS = 8, 128


class MissingFields(BadRequest):
    """Fields are absent, null, or empty."""

    code = "missing_fields"

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


def _checked_password(text: str) -> str:
    password = unicodedata.normalize("NFC", text)
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        raise PydanticCustomError("password", "Must have 8 to 128 characters")
    return password


Password = Annotated[str, AfterValidator(_checked_password)]


class RequiredFields(StrictModel):
    """A body whose fields must all be there."""

    missing: ClassVar[str]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """
        Check a body.

        Args:
            values: The body's fields.

        Raises:
            MissingFields: A field is absent, null, or empty.
            ValidationFailed: A field is wrong.
        """
        if any(values.get(field.alias or name) in (None, "") for name, field in cls.model_fields.items()):
            raise MissingFields(cls.missing)
        return check_body(cls, values)


class Registration(RequiredFields):
    """Body of ``POST /auth/register``."""

    missing = "Email, password, and name required"
    email: Email
    password: Password
    name: Name


class Credentials(RequiredFields):
    """Body of ``POST /auth/login``; what no account can have is refused as any wrong password is."""

    missing = "Email and password required"
    email: str
    password: str


class PasswordChange(RequiredFields):
    """Body of ``PUT /auth/password``."""

    missing = "Current password and new password required"
    current: str = Field(alias="currentPassword")
    new: Password = Field(alias="newPassword")
