"""The message of a validation error: its first detail, with the field's name for people."""

import pytest
from pydantic import BaseModel

from post import messages, validators
from tests.answers import UNKNOWN_ID

API = "/api/v1"
TITLE = {"title": "가" * 201, "content": "내용"}
CASES = {
    "long-title": ("POST", "/posts", TITLE, "제목: 200자 이하여야 합니다.", "Title: Must have at most 200 characters."),
    "first-of-two": ("POST", "/posts", {}, "제목: 필수 항목입니다.", "Title: This field is required."),
    "type": (
        "PATCH",
        f"/posts/{UNKNOWN_ID}",
        {"content": 1},
        "내용: 문자열이어야 합니다.",
        "Content: Must be a string.",
    ),
    "page": ("GET", "/posts?page=0", None, "페이지: 1 이상이어야 합니다.", "Page: Must be at least 1."),
    "no-object": (
        "POST",
        "/categories",
        [],
        "요청 본문: JSON 객체여야 합니다.",
        "Request body: Must be a JSON object.",
    ),
    "header": (
        "POST",
        "/posts",
        TITLE | {"title": "제목"},
        "Idempotency-Key: 출력 가능한 ASCII 문자 1자 이상 64자 이하여야 합니다.",
        "Idempotency-Key: Must have 1 to 64 printable ASCII characters.",
    ),
}


@pytest.mark.parametrize(("method", "path", "body", "ko", "en"), CASES.values(), ids=CASES)
def test_a_validation_error_says_its_first_detail(client, as_user, *, method, path, body, ko, en):
    headers = as_user("ana") | ({"Idempotency-Key": "a" * 65} if ko.startswith("Idem") else {})

    said = {
        language: client.open(f"{API}{path}", method=method, json=body, headers=headers | {"Accept-Language": language})
        for language in ("ko", "en")
    }

    assert {language: response.json["message"] for language, response in said.items()} == {"ko": ko, "en": en}
    for response in said.values():
        assert response.status_code == 400
        assert response.json["message"].endswith(response.json["error"]["details"][0]["message"])


def test_an_image_is_named_by_its_place():
    assert messages.name_of("file", "ko") == "이미지"
    assert [messages.name_of("files[0]", language) for language in ("ko", "en")] == ["이미지 1", "Image 1"]
    assert messages.name_of("files[19]", "en") == "Image 20"


@pytest.mark.parametrize(
    "model",
    [kind for kind in vars(validators).values() if isinstance(kind, type) and issubclass(kind, BaseModel)],
    ids=lambda model: model.__name__,
)
def test_every_field_of_a_request_has_a_name_for_people(model):
    names = {field.alias or name for name, field in model.model_fields.items()}

    # A header's name is its own; a wrong id of a post has a code of its own; any key of an image is a text.
    assert names - messages.NAMES.keys() <= {"Idempotency-Key", "post_id", "key"}
