"""
The contender: the board by FastAPI and async SQLAlchemy, as many would write it today.

It reads and writes the service's tables, with the same columns and indexes. It has what a board needs at
least: no tokens (callers name themselves in ``X-User-Id`` and ``X-Username``), no rate limits, no kept
counts, no search index. uvicorn runs it with as many workers as gunicorn runs the service. It imports
nothing of the service, and runs in an environment of its own (``bench/requirements.txt``).
"""

import os
import ssl
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

API = "/api/v1"
CONNECTIONS = int(os.environ["CONNECTIONS"])
TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE  # the measured server signs its own certificate

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="mysql+asyncmy"),
    pool_size=CONNECTIONS,
    max_overflow=0,
    connect_args={"ssl": TLS} if os.environ["DATABASE_TLS"] == "1" else {},
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


def new_id() -> str:
    """Return a random id."""
    return uuid.uuid4().hex


class Base(DeclarativeBase):
    """The tables, without those that the contender does not use."""

    type_annotation_map = {datetime: DATETIME(fsp=3)}  # noqa: RUF012 - SQLAlchemy's own way


class Category(Base):
    """A category."""

    __tablename__ = "categories"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    name_key: Mapped[str]


class Post(Base):
    """A post."""

    __tablename__ = "posts"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    No: Mapped[int] = mapped_column(server_default="0")
    username: Mapped[str]
    user_id: Mapped[str | None]
    category: Mapped[str | None]
    category_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"))
    title: Mapped[str]
    content: Mapped[str]
    view_count: Mapped[int] = mapped_column(server_default="0")
    like_count: Mapped[int] = mapped_column(server_default="0")
    comment_count: Mapped[int] = mapped_column(server_default="0")
    media_count: Mapped[int] = mapped_column(server_default="0")
    status: Mapped[str] = mapped_column(server_default="visible")
    created_at: Mapped[datetime] = mapped_column(server_default="now")
    updated_at: Mapped[datetime] = mapped_column(server_default="now")


class Like(Base):
    """One user's like of one post."""

    __tablename__ = "likes"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    post_id: Mapped[str] = mapped_column(ForeignKey("posts.id"))
    user_id: Mapped[str]


T = TypeVar("T")
Moment = Annotated[
    datetime, PlainSerializer(lambda moment: f"{moment.isoformat(timespec='milliseconds')}Z", return_type=str)
]


class NewPost(BaseModel):
    """A post to create."""

    title: str = Field(min_length=1, max_length=200)
    content: str = Field(min_length=1, max_length=65_535)
    category: str = Field(default="일반", min_length=1, max_length=50)


class PostOut(BaseModel):
    """A post in an answer."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    No: int
    title: str
    content: str
    username: str
    user_id: str | None
    category: str | None
    category_id: str | None
    view_count: int
    like_count: int
    comment_count: int
    status: str
    media_files: list[str] = []
    media_count: int
    created_at: Moment
    updated_at: Moment


class LikeOut(BaseModel):
    """The state after a like."""

    action: Literal["added", "removed"]
    is_liked: bool
    like_count: int


class Answer(BaseModel, Generic[T]):
    """The envelope of an answer."""

    success: bool = True
    message: str
    data: T


class Page(Answer[list[PostOut]]):
    """A page of posts."""

    meta: dict[str, Any]


class User(BaseModel):
    """The caller."""

    user_id: str
    username: str


async def session_of_request() -> AsyncIterator[AsyncSession]:
    """Open a session for a request."""
    async with new_session() as session:
        yield session


async def caller(x_user_id: Annotated[str, Header()], x_username: Annotated[str, Header()]) -> User:
    """Return the caller, from plain headers."""
    return User(user_id=x_user_id, username=x_username)


Session = Annotated[AsyncSession, Depends(session_of_request)]
CurrentUser = Annotated[User, Depends(caller)]
ORDERS = {"latest": (Post.No.desc(),), "popular": (Post.like_count.desc(), Post.view_count.desc(), Post.No.desc())}

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer while the server is up."""
    return {"status": "healthy"}


@app.get(f"{API}/posts")
async def list_posts(  # noqa: PLR0917 - FastAPI reads the query from them
    session: Session,
    page: Annotated[int, Query(ge=1)] = 1,
    per_page: Annotated[int, Query(ge=1, le=50)] = 10,
    q: str | None = None,
    category_id: str | None = None,
    user_id: str | None = None,
    sort: Literal["latest", "popular"] = "latest",
) -> Page:
    """List the visible posts."""
    wanted = [Post.status == "visible"]
    wanted += [Post.title.contains(q, autoescape=True)] if q else []
    wanted += [Post.category_id == category_id] if category_id else []
    wanted += [Post.user_id == user_id] if user_id else []
    total = await session.scalar(select(func.count()).select_from(Post).where(*wanted)) or 0
    query = select(Post).where(*wanted).order_by(*ORDERS[sort]).offset((page - 1) * per_page).limit(per_page)
    posts = (await session.scalars(query)).all()
    meta = {"page": page, "per_page": per_page, "total": total, "pages": -(-total // per_page)}
    return Page(message="게시글 목록입니다.", data=[PostOut.model_validate(post) for post in posts], meta=meta)


@app.get(f"{API}/posts/{{post_id}}")
async def get_post(post_id: str, session: Session) -> Answer[PostOut]:
    """Show a post."""
    post = await session.get(Post, post_id)
    if post is None or post.status != "visible":
        raise HTTPException(404)
    return Answer(message="게시글입니다.", data=PostOut.model_validate(post))


@app.post(f"{API}/posts", status_code=201)
async def create_post(body: NewPost, user: CurrentUser, session: Session) -> Answer[PostOut]:
    """Create a post, and its category if that is new."""
    category = await session.scalar(select(Category).where(Category.name_key == body.category.casefold()))
    if category is None:
        category = Category(name=body.category, name_key=body.category.casefold())
        session.add(category)
        await session.flush()
    post = Post(
        title=body.title,
        content=body.content,
        user_id=user.user_id,
        username=user.username,
        category=category.name,
        category_id=category.id,
    )
    session.add(post)
    await session.commit()
    await session.refresh(post)
    return Answer(message="게시글을 작성했습니다.", data=PostOut.model_validate(post))


@app.post(f"{API}/posts/{{post_id}}/like")
async def toggle_like(post_id: str, user: CurrentUser, session: Session) -> Answer[LikeOut]:
    """Like a post, or take the like back."""
    post = await session.get(Post, post_id, with_for_update=True)
    if post is None or post.status != "visible":
        raise HTTPException(404)
    like = await session.scalar(select(Like).where(Like.post_id == post_id, Like.user_id == user.user_id))
    if like is None:
        session.add(Like(post_id=post_id, user_id=user.user_id))
        post.like_count += 1
    else:
        await session.delete(like)
        post.like_count -= 1
    await session.commit()
    action: Literal["added", "removed"] = "added" if like is None else "removed"
    state = LikeOut(action=action, is_liked=like is None, like_count=post.like_count)
    return Answer(message="좋아요를 눌렀습니다.", data=state)
