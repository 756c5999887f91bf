"""Tables: their columns, types and indexes; migrations create them, ``transaction`` writes to them."""

from datetime import datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    Computed,
    DateTime,
    Enum,
    FetchedValue,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    column,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.expression import FunctionElement

from post.utils import (
    CATEGORY_MAX_CHARS,
    FILE_NAME_MAX_CHARS,
    IDEMPOTENCY_KEY_MAX_CHARS,
    LOGIN_MAX_CHARS,
    REASON_MAX_CHARS,
    TITLE_MAX_CHARS,
    USER_ID_MAX_CHARS,
    USERNAME_MAX_CHARS,
    new_id,
)

VISIBLE = "visible"
HIDDEN = "hidden"
DELETED = "deleted"
BY_AUTHOR, BY_MODERATOR = "author", "moderator"  # of ``hidden_by`` and ``deleted_by``
REPORT_REASONS = ("spam", "abuse", "illegal", "privacy", "other")
OPEN, RESOLVED = "open", "resolved"
DISMISS, HIDE, DELETE = "dismiss", "hide", "delete"  # the resolutions of a report

OBJECT_KEY_MAX_CHARS = 110

# Folding can make a text up to three times as long (Unicode, SpecialCasing.txt).
CATEGORY_KEY_MAX_CHARS = 3 * CATEGORY_MAX_CHARS

db = SQLAlchemy(
    metadata=MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
)


# Every database compares texts bit by bit (MySQL ignores spaces at the end); code that ignores letter case folds it
# itself. MySQL's default collations would also find "cafe" in "café", and SQLite's would not.
TEXT_COLLATION = "utf8mb4_bin"
TABLE_OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": TEXT_COLLATION}
Id = String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), "mysql")
ObjectKey = String(OBJECT_KEY_MAX_CHARS).with_variant(
    mysql.VARCHAR(OBJECT_KEY_MAX_CHARS, charset="ascii", collation="ascii_bin"), "mysql"
)
Scope = String(8).with_variant(mysql.VARCHAR(8, charset="ascii", collation="ascii_bin"), "mysql")
Sha256 = String(64).with_variant(mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql")
Body = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")  # an answer may be longer than a BLOB's 64 KiB
Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers the rows of an INTEGER key alone
Moment = DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql")


class utc_now(FunctionElement[datetime]):  # noqa: N801 - named like an SQL function
    """The database's time in UTC, with milliseconds; connections set their time zone."""

    type = DateTime()
    inherit_cache = True


@compiles(utc_now)
def _utc_now(_element: utc_now, _compiler: Any, **_kwargs: Any) -> str:
    return "CURRENT_TIMESTAMP(3)"


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(_element: utc_now, _compiler: Any, **_kwargs: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')"


class hours_ago(FunctionElement[datetime]):  # noqa: N801 - named like an SQL function
    """The database's time in UTC, a number of hours before now."""

    type = DateTime()
    inherit_cache = True


@compiles(hours_ago)
def _hours_ago(element: hours_ago, compiler: Any, **kwargs: Any) -> str:
    return f"CURRENT_TIMESTAMP(3) - INTERVAL {compiler.process(element.clauses, **kwargs)} HOUR"


@compiles(hours_ago, "sqlite")
def _hours_ago_sqlite(element: hours_ago, compiler: Any, **kwargs: Any) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f', 'now', (-{compiler.process(element.clauses, **kwargs)}) || ' hours')"


class day_of(FunctionElement[int]):  # noqa: N801 - named like an SQL function
    """The number of a moment's day, counted from the year 0 as MySQL does."""

    type = Integer()
    inherit_cache = True


@compiles(day_of)
def _day_of(element: day_of, compiler: Any, **kwargs: Any) -> str:
    return f"TO_DAYS({compiler.process(element.clauses, **kwargs)})"


@compiles(day_of, "sqlite")
def _day_of_sqlite(element: day_of, compiler: Any, **kwargs: Any) -> str:
    return f"CAST(julianday({compiler.process(element.clauses, **kwargs)}) - 1721059.5 AS INTEGER)"


class next_moment(FunctionElement[datetime]):  # noqa: N801 - named like an SQL function
    """The database's time, but later than a row's ``updated_at``: each edit moves it, also within a millisecond."""

    type = DateTime()
    inherit_cache = True


@compiles(next_moment)
def _next_moment(_element: next_moment, _compiler: Any, **_kwargs: Any) -> str:
    return "GREATEST(CURRENT_TIMESTAMP(3), updated_at + INTERVAL 1000 MICROSECOND)"


@compiles(next_moment, "sqlite")
def _next_moment_sqlite(_element: next_moment, _compiler: Any, **_kwargs: Any) -> str:
    form = "'%Y-%m-%d %H:%M:%f'"
    return f"max(strftime({form}, 'now'), strftime({form}, updated_at, '+0.001 seconds'))"


class Category(db.Model):
    """A category; ``name_key`` makes its name unique, letter case ignored."""

    __tablename__ = "categories"
    __table_args__ = (
        UniqueConstraint("name", name="uq_categories_name"),
        UniqueConstraint("name_key", name="uq_categories_name_key"),
        TABLE_OPTIONS,
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(CATEGORY_MAX_CHARS))
    name_key: Mapped[str] = mapped_column(String(CATEGORY_KEY_MAX_CHARS))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())
    is_open: Mapped[bool] = mapped_column(Boolean, server_default=FetchedValue())  # else it takes no new posts
    position: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    merged_into: Mapped[str | None] = mapped_column(Id)  # the category that its posts are moving to


class Lock(db.Model):
    """A row that transactions lock to take turns where they check a number of rows before they insert another."""

    __tablename__ = "locks"
    __table_args__ = (TABLE_OPTIONS,)

    name: Mapped[str] = mapped_column(String(20), primary_key=True)


class Post(db.Model):
    """
    A post. ``category`` repeats the category's name, as in the table of the site's first version.

    ``No`` is the board number. The database assigns it, by AUTO_INCREMENT on MySQL and by a trigger
    over an AUTOINCREMENT table on SQLite; neither assigns a number twice.
    """

    __tablename__ = "posts"
    __table_args__ = (
        UniqueConstraint("No", name="uq_posts_no"),
        Index("ix_posts_status_no", "status", "No"),
        Index("ix_posts_category_status_no", "category_id", "status", "No"),
        Index("ix_posts_user_status_no", "user_id", "status", "No"),
        Index("ix_posts_popular", "status", "like_count", "view_count", "No"),
        Index("ix_posts_category_popular", "category_id", "status", "like_count", "view_count", "No"),
        Index("ix_posts_report_count_No", "report_count", "No"),
        Index("ix_posts_status_created_at", "status", "created_at"),
        # The columns after No decide alone whether a list has the post.
        Index(
            "ix_posts_day_popular",
            *("status", "created_day", "like_count", "view_count", "No", "created_at", "category_id", "user_id"),
        ),
        TABLE_OPTIONS,
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    No: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    username: Mapped[str] = mapped_column(String(USERNAME_MAX_CHARS))
    user_id: Mapped[str | None] = mapped_column(String(USER_ID_MAX_CHARS))
    category: Mapped[str | None] = mapped_column(String(CATEGORY_MAX_CHARS), server_default=FetchedValue())
    category_id: Mapped[str | None] = mapped_column(Id, ForeignKey("categories.id"))
    title: Mapped[str] = mapped_column(String(TITLE_MAX_CHARS))
    content: Mapped[str] = mapped_column(Text)
    view_count: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    like_count: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    comment_count: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    media_count: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    status: Mapped[str] = mapped_column(
        Enum(VISIBLE, HIDDEN, DELETED, name="status", create_constraint=True), server_default=FetchedValue()
    )
    # Counts while the post is hidden alone. NULL is the author: an earlier release has hidden it.
    hidden_by: Mapped[str | None] = mapped_column(
        Enum(BY_AUTHOR, BY_MODERATOR, name="hidden_by", create_constraint=True)
    )
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())
    # Not stored: indexes have it. MariaDB cannot say that it is never NULL.
    created_day: Mapped[int] = mapped_column(Computed(day_of(column("created_at")), persisted=False), nullable=True)
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue(), server_onupdate=FetchedValue())
    # Both are NULL unless the post is deleted, and where an earlier release has deleted it.
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)
    deleted_by: Mapped[str | None] = mapped_column(
        Enum(BY_AUTHOR, BY_MODERATOR, name="deleted_by", create_constraint=True)
    )
    held_since: Mapped[datetime | None] = mapped_column(Moment)  # hidden by its reports, until a moderator decides
    purged_at: Mapped[datetime | None] = mapped_column(Moment)  # erased: its row keeps the number alone
    report_count: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())  # open reports
    # Changes of its category by a merge or a new name, which do not move ``updated_at``.
    moves: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())


class PostCount(db.Model):
    """
    The number of posts of a subject, updated by every transaction that changes it.

    ``subject`` depends on ``scope``: empty (``all``), a category's id, an author's ``sub``, or a block of
    numbers. A count is the sum of its shards, so that concurrent writers seldom wait for one row.
    """

    __tablename__ = "post_counts"
    __table_args__ = (TABLE_OPTIONS,)

    scope: Mapped[str] = mapped_column(Scope, primary_key=True)
    subject: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS), primary_key=True)
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    visible: Mapped[int] = mapped_column(Integer)
    hidden: Mapped[int] = mapped_column(Integer)


class SearchTitle(db.Model):
    """The title of a visible post with its letter case folded, by the post's number."""

    __tablename__ = "search_titles"
    __table_args__ = (TABLE_OPTIONS,)

    No: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    title_key: Mapped[str] = mapped_column(String(TITLE_MAX_CHARS))


class SearchGram(db.Model):
    """A bigram of a visible title: posts whose title contains the pair ``gram``, as ``grams_of`` numbers it."""

    __tablename__ = "search_grams"
    __table_args__ = (TABLE_OPTIONS,)

    gram: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    No: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)


class Like(db.Model):
    """One user's like of one post. Written only under the lock of the post's row."""

    __tablename__ = "likes"
    __table_args__ = (
        UniqueConstraint("post_id", "user_id", name="unique_post_user_like"),
        TABLE_OPTIONS,
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    post_id: Mapped[str] = mapped_column(Id, ForeignKey("posts.id"))
    user_id: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS))
    # Made without a token, so that anybody may have made it; nobody else may take another like away.
    is_anonymous: Mapped[bool] = mapped_column(Boolean, server_default=FetchedValue())
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())


class Media(db.Model):
    """
    An image of a post. Written only under the lock of the post's row, which keeps a post within its limit.

    The objects of both keys are stored before the row is inserted, and removed after it is deleted.
    """

    __tablename__ = "media"
    __table_args__ = (
        UniqueConstraint("object_key", name="uq_media_object_key"),
        UniqueConstraint("thumbnail_key", name="uq_media_thumbnail_key"),
        Index("ix_media_post_id", "post_id"),
        TABLE_OPTIONS,
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    post_id: Mapped[str] = mapped_column(Id, ForeignKey("posts.id"))
    object_key: Mapped[str] = mapped_column(ObjectKey)
    thumbnail_key: Mapped[str] = mapped_column(ObjectKey)
    file_name: Mapped[str] = mapped_column(String(FILE_NAME_MAX_CHARS))
    content_type: Mapped[str] = mapped_column(String(20))
    file_size: Mapped[int] = mapped_column(Integer)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())


class ErasedObject(db.Model):
    """A stored object of an erased post, until it is removed from the storage and from CloudFront."""

    __tablename__ = "erased_objects"
    __table_args__ = (Index("ix_erased_objects_post_id", "post_id"), TABLE_OPTIONS)

    object_key: Mapped[str] = mapped_column(ObjectKey, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())


class RestrictedAccount(db.Model):
    """
    An account that may not write: deactivated by its user, suspended by a moderator, or both.

    One table, so that a write looks up both at once. An earlier release takes each row for a deactivated account.
    """

    __tablename__ = "deactivated_accounts"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS), primary_key=True)
    login: Mapped[str] = mapped_column(String(LOGIN_MAX_CHARS))  # empty unless the account is deactivated
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())  # of the deactivation
    is_deactivated: Mapped[bool] = mapped_column(Boolean, server_default=FetchedValue())
    suspended_at: Mapped[datetime | None] = mapped_column(Moment)
    suspended_until: Mapped[datetime | None] = mapped_column(Moment)  # NULL: without end
    suspended_by: Mapped[str | None] = mapped_column(String(USER_ID_MAX_CHARS))
    suspension_reason: Mapped[str | None] = mapped_column(String(REASON_MAX_CHARS))


class LogEntry(db.Model):
    """A row of the moderation log, written in the transaction of its action. Triggers refuse UPDATE and DELETE."""

    __tablename__ = "moderation_log"
    __table_args__ = (
        Index("ix_moderation_log_actor_No", "actor", "No"),
        Index("ix_moderation_log_action_No", "action", "No"),
        Index("ix_moderation_log_post_id_No", "post_id", "No"),
        Index("ix_moderation_log_user_id_No", "user_id", "No"),
        TABLE_OPTIONS,
    )

    No: Mapped[int] = mapped_column(Serial, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())
    actor: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS))
    action: Mapped[str] = mapped_column(String(20))
    post_id: Mapped[str | None] = mapped_column(Id)
    user_id: Mapped[str | None] = mapped_column(String(USER_ID_MAX_CHARS))  # the person concerned
    category_id: Mapped[str | None] = mapped_column(Id)
    reason: Mapped[str | None] = mapped_column(String(REASON_MAX_CHARS))
    state_before: Mapped[str | None] = mapped_column(Text)  # JSON, never with a title, a text or a name of a post
    state_after: Mapped[str | None] = mapped_column(Text)


class Report(db.Model):
    """One user's report of one post. Written only under the lock of the post's row, which counts the open ones."""

    __tablename__ = "reports"
    __table_args__ = (
        UniqueConstraint("id", name="uq_reports_id"),
        UniqueConstraint("post_id", "user_id", name="uq_reports_post_id"),
        Index("ix_reports_state_No", "state", "No"),
        Index("ix_reports_user_id", "user_id"),
        TABLE_OPTIONS,
    )

    No: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(Id, default=new_id)
    post_id: Mapped[str] = mapped_column(Id, ForeignKey("posts.id"))
    user_id: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS))
    reason: Mapped[str] = mapped_column(Enum(*REPORT_REASONS, name="reason", create_constraint=True))
    text: Mapped[str | None] = mapped_column(String(REASON_MAX_CHARS))
    state: Mapped[str] = mapped_column(
        Enum(OPEN, RESOLVED, name="state", create_constraint=True), server_default=FetchedValue()
    )
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())
    resolved_at: Mapped[datetime | None] = mapped_column(Moment)
    resolved_by: Mapped[str | None] = mapped_column(String(USER_ID_MAX_CHARS))
    resolution: Mapped[str | None] = mapped_column(
        Enum(DISMISS, HIDE, DELETE, name="resolution", create_constraint=True)
    )


class Pin(db.Model):
    """A pinned post: on the first page of all posts (``all``), or of its own category (``category``)."""

    __tablename__ = "pins"
    __table_args__ = (Index("ix_pins_scope_created_at", "scope", "created_at"), TABLE_OPTIONS)

    post_id: Mapped[str] = mapped_column(Id, ForeignKey("posts.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(Scope, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())


class Task(db.Model):
    """
    An action on many posts, done in batches of a transaction each.

    Whoever works at it claims it for a short time with each batch. A claim that has run out is a process that has
    ended, and another goes on.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_ended_at", "ended_at"),
        Index("ix_tasks_kind_subject", "kind", "subject"),
        TABLE_OPTIONS,
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS))  # a category's id, or a user's ``sub``
    target: Mapped[str | None] = mapped_column(String(USER_ID_MAX_CHARS))
    actor: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS))
    reason: Mapped[str | None] = mapped_column(String(REASON_MAX_CHARS))
    total: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())  # posts, when it began
    done: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())
    claimed_until: Mapped[datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)


class IdempotencyKey(db.Model):
    """
    A request with an ``Idempotency-Key``, and its answer: empty, as the request's digest, where the post is erased.

    One transaction inserts the row, does the work and stores the answer, so that no other ever sees a row
    without one.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_created_at", "created_at"),
        Index("ix_idempotency_keys_post_id", "post_id"),
        TABLE_OPTIONS,
    )

    user_id: Mapped[str] = mapped_column(String(USER_ID_MAX_CHARS), primary_key=True)
    key: Mapped[str] = mapped_column(String(IDEMPOTENCY_KEY_MAX_CHARS), primary_key=True)
    request_hash: Mapped[str] = mapped_column(Sha256)
    post_id: Mapped[str | None] = mapped_column(Id)
    answer: Mapped[bytes | None] = mapped_column(Body)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=FetchedValue())
