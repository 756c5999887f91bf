"""The one catalogue of words for people, in Korean and English."""

from typing import Any, Literal, NamedTuple

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")


class Message(NamedTuple):
    """One sentence in both languages; ``{name}`` marks a parameter."""

    ko: str
    en: str


ERRORS: dict[str, Message] = {
    "validation_error": Message("입력값을 확인해 주세요.", "Please check the input."),
    "invalid_json": Message("요청 본문이 올바른 JSON이 아닙니다.", "The request body is not valid JSON."),
    "invalid_post_id": Message("게시글 ID 형식이 올바르지 않습니다.", "The post id is malformed."),
    "token_missing": Message("로그인이 필요합니다.", "Please log in."),
    "token_invalid": Message("인증 토큰이 올바르지 않습니다.", "The token is not valid."),
    "token_expired": Message(
        "로그인이 만료되었습니다. 다시 로그인해 주세요.", "The token has expired. Please log in again."
    ),
    "forbidden": Message("이 작업을 할 권한이 없습니다.", "You may not do this."),
    "not_found": Message("요청한 주소를 찾을 수 없습니다.", "There is nothing at this address."),
    "post_not_found": Message("게시글을 찾을 수 없습니다.", "There is no such post."),
    "method_not_allowed": Message("허용되지 않은 메서드입니다.", "This method is not allowed here."),
    "payload_too_large": Message("요청이 너무 큽니다.", "The request is too large."),
    "unsupported_media_type": Message(
        "Content-Type은 application/json이어야 합니다.", "The Content-Type must be application/json."
    ),
    "category_exists": Message("이미 있는 카테고리입니다.", "This category exists already."),
    "rate_limited": Message(
        "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.", "Too many requests. Please try again later."
    ),
    "internal_error": Message("서버에서 오류가 발생했습니다.", "Something went wrong on our side."),
    "database_unavailable": Message(
        "데이터베이스에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.",
        "The database is not available. Please try again later.",
    ),
    "auth_unavailable": Message(
        "인증 서비스에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.",
        "The authentication service is not available. Please try again later.",
    ),
}

FIELDS: dict[str, Message] = {
    "required": Message("필수 항목입니다.", "This field is required."),
    "not_text": Message("문자열이어야 합니다.", "Must be a string."),
    "not_integer": Message("정수여야 합니다.", "Must be an integer."),
    "not_object": Message("JSON 객체여야 합니다.", "Must be a JSON object."),
    "not_list": Message("배열이어야 합니다.", "Must be an array."),
    "too_small": Message("{minimum} 이상이어야 합니다.", "Must be at least {minimum}."),
    "blank": Message("비워 둘 수 없습니다.", "Must not be blank."),
    "text_too_long": Message("{maximum}자 이하여야 합니다.", "Must have at most {maximum} characters."),
    "too_many_bytes": Message(
        "UTF-8로 {maximum}바이트 이하여야 합니다.", "Must have at most {maximum} bytes of UTF-8."
    ),
    "too_many_items": Message("{maximum}개 이하여야 합니다.", "Must have at most {maximum} items."),
    "control_characters": Message(
        "탭과 줄바꿈을 제외한 제어 문자를 쓸 수 없습니다.",
        "Must not contain control characters other than tabs and newlines.",
    ),
    "surrogates": Message("올바른 유니코드 문자열이 아닙니다.", "Must be valid Unicode text."),
    "not_a_choice": Message("다음 중 하나여야 합니다: {choices}.", "Must be one of: {choices}."),
    "bad_cursor": Message("커서가 올바르지 않습니다.", "The cursor is not valid."),
    "bad_id": Message("ID 형식이 올바르지 않습니다.", "The id is malformed."),
    "nothing_to_change": Message(
        "title, content, category, status 중 하나 이상이 필요합니다.",
        "At least one of title, content, category and status is required.",
    ),
    "user_unknown": Message("user_id 또는 토큰이 필요합니다.", "A user_id or a token is required."),
    "wrong": Message("값이 올바르지 않습니다.", "The value is not valid."),
}

SUCCESSES: dict[str, Message] = {
    "posts_listed": Message("게시글 목록입니다.", "The posts."),
    "post_found": Message("게시글입니다.", "The post."),
    "post_created": Message("게시글을 작성했습니다.", "The post was created."),
    "post_updated": Message("게시글을 수정했습니다.", "The post was updated."),
    "post_deleted": Message("게시글을 삭제했습니다.", "The post was deleted."),
    "like_added": Message("좋아요를 눌렀습니다.", "The like was added."),
    "like_removed": Message("좋아요를 취소했습니다.", "The like was removed."),
    "like_unchanged": Message("변경된 내용이 없습니다.", "Nothing has changed."),
    "like_status": Message("좋아요 상태입니다.", "The state of the like."),
    "categories_listed": Message("카테고리 목록입니다.", "The categories."),
    "token_issued": Message("개발용 토큰입니다.", "Tokens for development."),
    "category_created": Message("카테고리를 만들었습니다.", "The category was created."),
}

_ALL = {**ERRORS, **FIELDS, **SUCCESSES}


def text(key: str, language: Language, **params: Any) -> str:
    """
    Return a sentence of the catalogue.

    Args:
        key: An error's ``code``, or a key of ``FIELDS`` or ``SUCCESSES``.
        language: ``ko`` or ``en``.
        params: The sentence's parameters.

    Raises:
        KeyError: The catalogue has no such key.
    """
    message: str = getattr(_ALL[key], language)
    return message.format(**params) if params else message
