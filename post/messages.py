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
    "invalid_json": Message(
        "요청 본문이 올바른 JSON이 아니거나, 값이 10,000개를 넘습니다.",
        "The request body is not valid JSON, or has more than 10,000 values.",
    ),
    "invalid_post_id": Message("게시글 ID 형식이 올바르지 않습니다.", "The post id is malformed."),
    "malformed_request": Message(
        "올바른 HTTP 요청이 아닙니다. 주소의 한글은 퍼센트 인코딩해야 합니다.",
        "This is not a valid HTTP request. Other characters than ASCII in an address must be percent-encoded.",
    ),
    "token_missing": Message("로그인이 필요합니다.", "Please log in."),
    "token_invalid": Message("인증 토큰이 올바르지 않습니다.", "The token is not valid."),
    "token_expired": Message(
        "로그인이 만료되었습니다. 다시 로그인해 주세요.", "The token has expired. Please log in again."
    ),
    "forbidden": Message("이 작업을 할 권한이 없습니다.", "You may not do this."),
    "account_deactivated": Message("탈퇴한 계정입니다.", "This account is deactivated."),
    "account_suspended": Message(
        "이용이 정지된 계정입니다. 정지 기간에는 글을 읽을 수만 있습니다.",
        "This account is suspended: it may read, but not write.",
    ),
    "moderated": Message(
        "관리자가 숨긴 게시글입니다. 관리자만 다시 공개할 수 있습니다.",
        "A moderator has hidden this post. Only a moderator can make it visible again.",
    ),
    "not_found": Message("요청한 주소를 찾을 수 없습니다.", "There is nothing at this address."),
    "post_not_found": Message("게시글을 찾을 수 없습니다.", "There is no such post."),
    "category_not_found": Message("카테고리를 찾을 수 없습니다.", "There is no such category."),
    "report_not_found": Message("신고를 찾을 수 없습니다.", "There is no such report."),
    "media_not_found": Message("이미지를 찾을 수 없습니다.", "There is no such image."),
    "method_not_allowed": Message("허용되지 않은 메서드입니다.", "This method is not allowed here."),
    "request_timeout": Message(
        "요청을 다 받기 전에 시간이 초과되었습니다. 다시 시도해 주세요.",
        "The request did not arrive in time. Please try again.",
    ),
    "precondition_failed": Message(
        "다른 곳에서 먼저 수정했습니다. 새로 고친 다음 다시 시도해 주세요.",
        "It has been changed meanwhile. Please reload it and try again.",
    ),
    "payload_too_large": Message(
        "요청이 너무 큽니다. 본문은 JSON이면 1 MiB, 이미지 업로드이면 52 MiB, 1,000개 항목까지입니다.",
        "The request is too large. A body may have 1 MiB of JSON, or 52 MiB of images in at most 1,000 parts.",
    ),
    "uri_too_long": Message("요청 주소가 너무 깁니다.", "The address is too long."),
    "header_fields_too_large": Message("요청 헤더가 너무 큽니다.", "The header fields are too large."),
    "unsupported_media_type": Message(
        "Content-Type은 application/json이어야 합니다. 이미지는 multipart/form-data입니다. 압축할 수 없습니다.",
        "The Content-Type must be application/json, or multipart/form-data for images; the body not compressed.",
    ),
    "category_exists": Message("이미 있는 카테고리입니다.", "This category exists already."),
    "category_in_use": Message(
        "게시글이 있는 카테고리입니다. 숨기거나 삭제한 게시글도 셉니다. 먼저 다른 카테고리와 합쳐 주세요.",
        "This category has posts, hidden and deleted ones included. Please merge it into another first.",
    ),
    "category_merging": Message(
        "이 카테고리를 합치는 중입니다. 끝난 다음 다시 시도해 주세요.",
        "A merge of this category is under way. Please try again when it has ended.",
    ),
    "already_reported": Message("이미 신고한 게시글입니다.", "You have reported this post already."),
    "pin_limit_reached": Message(
        "고정 게시글은 10개까지입니다. 먼저 다른 게시글의 고정을 풀어 주세요.",
        "At most 10 posts may be pinned here. Please unpin another first.",
    ),
    "post_not_deleted": Message(
        "삭제한 게시글만 완전히 지울 수 있습니다.",
        "Only a deleted post can be erased. Please delete it first.",
    ),
    "category_limit_reached": Message(
        "카테고리는 1,000개까지 만들 수 있습니다. 있는 카테고리를 골라 주세요.",
        "There may be at most 1,000 categories. Please choose one that exists.",
    ),
    "media_limit_reached": Message(
        "게시글 하나에 이미지는 10개까지 올릴 수 있습니다.", "A post may have at most 10 images."
    ),
    "idempotency_conflict": Message(
        "같은 Idempotency-Key로 다른 요청을 보냈거나 앞선 요청을 처리하고 있습니다.",
        "This Idempotency-Key was used for another request, or its first request is not finished.",
    ),
    "rate_limited": Message(
        "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.", "Too many requests. Please try again later."
    ),
    "internal_error": Message("서버에서 오류가 발생했습니다.", "Something went wrong on our side."),
    "overloaded": Message(
        "지금은 요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.",
        "There are too many requests just now. Please try again later.",
    ),
    "gateway_timeout": Message(
        "제때 응답하지 못했습니다. 잠시 후 다시 시도해 주세요.",
        "There was no answer in time. Please try again later.",
    ),
    "database_unavailable": Message(
        "데이터베이스에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.",
        "The database is not available. Please try again later.",
    ),
    "auth_unavailable": Message(
        "인증 서비스에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.",
        "The authentication service is not available. Please try again later.",
    ),
    "storage_unavailable": Message(
        "이미지 저장소를 사용할 수 없습니다. 잠시 후 다시 시도해 주세요.",
        "The storage of images is not available. Please try again later.",
    ),
}

FIELDS: dict[str, Message] = {
    "required": Message("필수 항목입니다.", "This field is required."),
    "not_text": Message("문자열이어야 합니다.", "Must be a string."),
    "not_boolean": Message("true 또는 false여야 합니다.", "Must be true or false."),
    "not_integer": Message("정수여야 합니다.", "Must be an integer."),
    "not_object": Message("JSON 객체여야 합니다.", "Must be a JSON object."),
    "not_list": Message("배열이어야 합니다.", "Must be an array."),
    "too_small": Message("{minimum} 이상이어야 합니다.", "Must be at least {minimum}."),
    "too_large": Message("{maximum} 이하여야 합니다.", "Must be at most {maximum}."),
    "blank": Message(
        "비워 둘 수 없습니다. 눈에 보이는 글자가 있어야 합니다.", "Must not be blank: a visible character is required."
    ),
    "text_too_long": Message("{maximum}자 이하여야 합니다.", "Must have at most {maximum} characters."),
    "too_many_bytes": Message(
        "UTF-8로 {maximum}바이트 이하여야 합니다.", "Must have at most {maximum} bytes of UTF-8."
    ),
    "too_many_items": Message("{maximum}개 이하여야 합니다.", "Must have at most {maximum} items."),
    "control_characters": Message(
        "탭과 줄바꿈을 제외한 제어 문자를 쓸 수 없습니다.",
        "Must not contain control characters other than tabs and newlines.",
    ),
    "too_many_marks": Message(
        "한 글자에 결합 문자를 {maximum}개 넘게 이어 쓸 수 없습니다.",
        "Must not have more than {maximum} combining marks in a row.",
    ),
    "surrogates": Message("올바른 유니코드 문자열이 아닙니다.", "Must be valid Unicode text."),
    "not_a_choice": Message("다음 중 하나여야 합니다: {choices}.", "Must be one of: {choices}."),
    "needs_popular": Message("sort=popular와 함께 써야 합니다.", "Needs sort=popular."),
    "page_too_deep": Message(
        "이 목록은 {maximum:,}번째 글까지만 쪽 번호로 볼 수 있습니다. 그다음은 meta.next_cursor를 cursor로 보내세요.",
        "Pages of this list go up to post {maximum:,}. To go on, send meta.next_cursor as cursor.",
    ),
    "not_together": Message(
        "{others}와(과) 함께 쓸 수 없습니다. 그 매개변수를 빼 주세요.",
        "Cannot be used together with {others}: please leave that out.",
    ),
    "bad_cursor": Message("커서가 올바르지 않습니다.", "The cursor is not valid."),
    "bad_id": Message("ID 형식이 올바르지 않습니다.", "The id is malformed."),
    "nothing_to_change": Message("{fields} 중 하나 이상이 필요합니다.", "At least one of these is required: {fields}."),
    "category_closed": Message(
        "새 글을 받지 않는 카테고리입니다. 다른 카테고리를 골라 주세요.",
        "This category takes no new posts. Please choose another one.",
    ),
    "same_category": Message("다른 카테고리여야 합니다.", "Must be another category."),
    "bad_time": Message(
        "2026-01-02T03:04:05.678Z 또는 2026-01-02T12:04:05+09:00 같은, 시간대가 있는 ISO 8601 시각이어야 합니다.",
        "Must be an ISO 8601 time with its offset, such as 2026-01-02T03:04:05.678Z or 2026-01-02T12:04:05+09:00.",
    ),
    "time_past": Message("이미 지난 시각입니다.", "This time has passed already."),
    "own_account": Message("자신의 계정은 정지할 수 없습니다.", "You cannot suspend your own account."),
    "user_unknown": Message("user_id 또는 토큰이 필요합니다.", "A user_id or a token is required."),
    "bad_header": Message(
        "출력 가능한 ASCII 문자 1자 이상 {maximum}자 이하여야 합니다.",
        "Must have 1 to {maximum} printable ASCII characters.",
    ),
    "file_required": Message(
        "이미지 파일이 필요합니다. `file` 또는 `files[]`로 보내 주세요.",
        "An image file is required: send it as `file` or `files[]`.",
    ),
    "file_empty": Message("빈 파일입니다.", "The file is empty."),
    "file_too_large": Message(
        "이미지 파일은 {maximum} MiB 이하여야 합니다.", "An image file may have at most {maximum} MiB."
    ),
    "not_an_image": Message(
        "JPEG, PNG, GIF, WebP 이미지가 아닙니다.", "The file is not a JPEG, PNG, GIF or WebP image."
    ),
    "image_damaged": Message("이미지 파일이 손상되었거나 잘렸습니다.", "The image is damaged or cut off."),
    "image_is_more": Message(
        "이미지이면서 다른 형식({format})이기도 한 파일은 받지 않습니다.", "The file is an image and {format} at once."
    ),
    "too_many_pixels": Message(
        "이미지는 {maximum}메가픽셀 이하여야 합니다.", "An image may have at most {maximum} megapixels."
    ),
    "too_many_frames": Message(
        "움직이는 이미지는 {maximum}프레임 이하여야 합니다.", "An animation may have at most {maximum} frames."
    ),
    "animation_too_large": Message(
        "움직이는 이미지의 모든 프레임은 합해서 {maximum}메가픽셀 이하여야 합니다.",
        "The frames of an animation may have at most {maximum} megapixels in all.",
    ),
    "file_not_reached": Message(
        "앞의 파일을 처리할 수 없어 이 파일은 살펴보지 않았습니다. 이 파일만 다시 올려 주세요.",
        "A file before this one could not be processed, so this one was not looked at. Please send it again by itself.",
    ),
    "image_too_complex": Message(
        "이미지를 처리하는 데 시간이나 공간이 너무 많이 듭니다.",
        "The image takes too much time or space to process.",
    ),
    "wrong": Message("값이 올바르지 않습니다.", "The value is not valid."),
}

# Fields by their names for people, where these differ; those of requests in ``post.validators``.
NAMES: dict[str, Message] = {
    "body": Message("요청 본문", "Request body"),
    "title": Message("제목", "Title"),
    "content": Message("내용", "Content"),
    "category": Message("카테고리", "Category"),
    "category_id": Message("카테고리 ID", "Category id"),
    "name": Message("이름", "Name"),
    "is_open": Message("새 글 받기", "Open for new posts"),
    "position": Message("순서", "Position"),
    "into": Message("합칠 카테고리", "Category to merge into"),
    "status": Message("상태", "Status"),
    "user_id": Message("사용자 ID", "User id"),
    "username": Message("사용자 이름", "User name"),
    "groups": Message("그룹", "Groups"),
    "scope": Message("범위", "Scope"),
    "q": Message("검색어", "Search text"),
    "ids": Message("ID 목록", "Ids"),
    "reported": Message("신고된 글", "Reported"),
    "sort": Message("정렬", "Sort"),
    "period": Message("기간", "Period"),
    "view": Message("보기", "View"),
    "page": Message("페이지", "Page"),
    "per_page": Message("페이지당 개수", "Posts per page"),
    "cursor": Message("커서", "Cursor"),
    "comment_count": Message("댓글 수", "Number of comments"),
    "reason": Message("사유", "Reason"),
    "actor": Message("관리자", "Actor"),
    "action": Message("작업", "Action"),
    "post_id": Message("게시글 ID", "Post id"),
    "sub": Message("사용자 ID", "User id"),
    "until": Message("정지 끝", "End of the suspension"),
    "report_id": Message("신고 ID", "Report id"),
    "state": Message("처리 상태", "State"),
    "text": Message("신고 내용", "Text"),
    "media_id": Message("이미지 ID", "Image id"),
    "file": Message("이미지", "Image"),
    "files[]": Message("이미지", "Images"),
}

SUCCESSES: dict[str, Message] = {
    "posts_listed": Message("게시글 목록입니다.", "The posts."),
    "post_found": Message("게시글입니다.", "The post."),
    "post_created": Message("게시글을 작성했습니다.", "The post was created."),
    "post_updated": Message("게시글을 수정했습니다.", "The post was updated."),
    "post_pinned": Message("게시글을 고정했습니다.", "The post is pinned."),
    "post_unpinned": Message("게시글의 고정을 풀었습니다.", "The post is not pinned."),
    "post_deleted": Message("게시글을 삭제했습니다.", "The post was deleted."),
    "like_added": Message("좋아요를 눌렀습니다.", "The like was added."),
    "like_removed": Message("좋아요를 취소했습니다.", "The like was removed."),
    "like_unchanged": Message("변경된 내용이 없습니다.", "Nothing has changed."),
    "like_status": Message("좋아요 상태입니다.", "The state of the like."),
    "categories_listed": Message("카테고리 목록입니다.", "The categories."),
    "token_issued": Message("개발용 토큰입니다.", "Tokens for development."),
    "media_uploaded": Message("이미지를 올렸습니다.", "The images were uploaded."),
    "media_deleted": Message("이미지를 삭제했습니다.", "The image was deleted."),
    "upload_permissions": Message("이미지 업로드 권한입니다.", "What may be uploaded."),
    "comments_hinted": Message("댓글 수를 곧 다시 셉니다.", "The comments will be counted again soon."),
    "comments_counted": Message("댓글 수를 저장했습니다.", "The number of comments was stored."),
    "deactivated": Message("계정을 탈퇴 처리했습니다.", "The account was deactivated."),
    "post_purged": Message("게시글을 완전히 지웠습니다.", "The post was erased for good."),
    "post_purged_but_images": Message(
        "게시글을 완전히 지웠지만 이미지 파일은 아직 남아 있습니다. 잠시 후 다시 요청해 주세요.",
        "The post was erased for good, but its image files are still there. Please send the request again later.",
    ),
    "user_found": Message("사용자의 상태입니다.", "The user's state."),
    "user_suspended": Message("사용자의 이용을 정지했습니다.", "The user is suspended."),
    "posts_deleted": Message("사용자의 게시글을 삭제했습니다.", "The user's posts were deleted."),
    "user_unsuspended": Message("사용자의 이용 정지를 풀었습니다.", "The user is not suspended."),
    "reported": Message("신고했습니다. 관리자가 확인합니다.", "The post was reported to the moderators."),
    "reports_listed": Message("신고 목록입니다.", "The reports."),
    "report_was_resolved": Message(
        "이미 다르게 처리한 신고입니다. 게시글을 직접 숨기거나 삭제하거나 복원해 주세요.",
        "The report was resolved before, in another way. Please hide, delete or restore the post itself.",
    ),
    "report_resolved": Message("신고를 처리했습니다.", "The report is resolved."),
    "log_listed": Message("운영 기록입니다.", "The moderation log."),
    "category_created": Message("카테고리를 만들었습니다.", "The category was created."),
    "category_updated": Message("카테고리를 수정했습니다.", "The category was updated."),
    "category_merged": Message("카테고리를 합쳤습니다.", "The categories were merged."),
    "category_deleted": Message("카테고리를 삭제했습니다.", "The category was deleted."),
    "task_running": Message(
        "아직 진행하고 있습니다. 같은 요청을 다시 보내면 진행 상황을 볼 수 있습니다.",
        "This is still under way. The same request again shows its progress.",
    ),
}

FEED: dict[str, Message] = {"feed_title": Message("게시판", "Board")}

_ALL = {**ERRORS, **FIELDS, **SUCCESSES, **FEED}


def text(key: str, language: Language, **params: Any) -> str:
    """
    Return a sentence of the catalogue.

    Args:
        key: An error's ``code``, or a key of ``FIELDS``, ``SUCCESSES`` or ``FEED``.
        language: ``ko`` or ``en``.
        params: The sentence's parameters.

    Raises:
        KeyError: The catalogue has no such key.
    """
    message: str = getattr(_ALL[key], language)
    return message.format(**params) if params else message


def name_of(field: str, language: Language) -> str:
    """
    Return the name of a request's field for people.

    Args:
        field: As in an error's ``details``; ``files[2]`` is the third image.
        language: ``ko`` or ``en``.
    """
    if field.startswith("files[") and field[6:-1].isdecimal():
        return f"{name_of('file', language)} {int(field[6:-1]) + 1}"
    name: str = getattr(NAMES[field], language) if field in NAMES else field
    return name
