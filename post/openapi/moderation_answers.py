"""Models of answers about moderation, for the OpenAPI document alone."""

from typing import Annotated, Any, Literal

from pydantic import Field

from post.openapi.answers import Answer, Count, Id, Moment, PageMeta, PostObject, PostSummary, Success
from post.utils import Action, PinScope


class LogEntryObject(Answer):
    """A row of the moderation log."""

    No: Annotated[int, Field(ge=1)]
    created_at: Moment
    actor: Annotated[
        str, Field(description="A moderator's `sub`; `reports`, which hide a post by their number; `shell`.")
    ]
    action: Action
    post_id: Id | None
    user_id: Annotated[str | None, Field(description="The author of the post, or the user concerned.")]
    category_id: Id | None
    reason: str | None
    before: Annotated[dict[str, Any] | None, Field(description="The state before the action.")]
    after: Annotated[dict[str, Any] | None, Field(description="The state after it.")]


class _ForAdmins(Answer):
    report_count: Annotated[Count, Field(description="Open reports.")]
    deleted_at: Annotated[Moment | None, Field(description="null unless it is deleted.")]
    deleted_by: Literal["author", "moderator"] | None


class AdminPostObject(PostObject, _ForAdmins):
    """A post as moderators are shown it."""


class AdminPostSummary(PostSummary, _ForAdmins):
    """The same with `view=summary`."""


class AdminPostListAnswer(Success):
    """A page of posts of any status in the envelope."""

    data: list[AdminPostObject | AdminPostSummary]
    meta: PageMeta


class LogAnswer(Success):
    """A page of the moderation log in the envelope."""

    data: list[LogEntryObject]
    meta: PageMeta


class PurgedPost(Answer):
    """A post that is erased for good."""

    id: Id
    status: Literal["purged"]
    images_removed: Annotated[
        bool,
        Field(description="`false`: the storage or CloudFront was away. The same request completes it, or a prune."),
    ]


class PinState(Answer):
    """A post's pin after a call."""

    id: Id
    scope: Annotated[PinScope | None, Field(description="null: both.")]
    pinned: bool


class PinAnswer(Success):
    """A post's pin in the envelope."""

    data: PinState


class SuspensionObject(Answer):
    """A suspension that holds now."""

    since: Moment
    until: Annotated[Moment | None, Field(description="null: without end.")]
    reason: str | None
    by: Annotated[str, Field(description="A moderator's `sub`, or `shell`.")]


class UserSuspension(Answer):
    """A user's suspension."""

    user_id: str
    suspension: SuspensionObject | None


class PostsOfUser(Answer):
    """A user's posts, by their status."""

    visible: Count
    hidden: Count
    deleted: Annotated[int, Field(ge=0, le=10_000, description="Those of them that are not erased; up to 10,000.")]


class ReportsOfUser(Answer):
    """Reports that have to do with a user."""

    made: Annotated[int, Field(ge=0, le=10_000, description="By the user, open and resolved; up to 10,000.")]


class UserObject(UserSuspension):
    """A user as moderators see them."""

    posts: PostsOfUser
    reports: ReportsOfUser
    is_deactivated: Annotated[bool, Field(description="By the user.")]


class PurgedPostAnswer(Success):
    """A purged post in the envelope."""

    data: PurgedPost


class UserSuspensionAnswer(Success):
    """A user's suspension in the envelope."""

    data: UserSuspension


class UserAnswer(Success):
    """A user in the envelope."""

    data: UserObject


class ReportObject(Answer):
    """A user's report of a post."""

    id: Id
    post_id: Id
    user_id: Annotated[str, Field(description="Who reports it.")]
    reason: Literal["spam", "abuse", "illegal", "privacy", "other"]
    text: str | None
    state: Literal["open", "resolved"]
    created_at: Moment
    resolved_at: Moment | None
    resolved_by: Annotated[str | None, Field(description="A moderator's `sub`, or `shell`.")]
    resolution: Literal["dismiss", "hide", "delete"] | None


class ReportedPost(Answer):
    """The post of a report, as a moderator needs it."""

    title: str
    excerpt: Annotated[str, Field(max_length=200, description="The text's first 200 characters.")]
    status: Literal["visible", "hidden", "deleted"]
    hidden_by: Literal["author", "moderator"] | None
    username: str
    user_id: str | None
    report_count: Annotated[Count, Field(description="Open reports.")]


class ListedReport(ReportObject):
    """A report with its post."""

    post: ReportedPost


class ReportAnswer(Success):
    """A new report in the envelope."""

    data: ReportObject


class ResolvedReportAnswer(Success):
    """A resolved report in the envelope."""

    data: ListedReport


class ReportListAnswer(Success):
    """A page of reports in the envelope."""

    data: list[ListedReport]
    meta: PageMeta
