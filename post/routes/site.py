"""The site's pages and files, for people in the browser; the OpenAPI document has the first and the feed alone."""

import re
from functools import partial
from typing import cast

from flask import Blueprint, Flask, Response, redirect
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as WerkzeugResponse

from post import services
from post.components import components
from post.openapi.document import POSTS, SYSTEM, error_answers, file_answers, new_blueprint
from post.paging import PageRequest
from post.services.pages import ListPage
from post.utils import ID_PATTERN
from post.validators import FeedQuery
from post.web.feed import CONTENT_TYPE, PATH, respond_feed
from post.web.request_checks import checked
from post.web.site import HASHED, LinkPreview, Site

bp = new_blueprint("site", __name__)
pages = Blueprint("pages", __name__)  # of a built site; none of them is of the API

DOCS = "/api/docs"
NEWEST = PageRequest(per_page=20, view="summary")


@bp.get(
    "/",
    tags=[SYSTEM],
    responses={
        200: {"description": "The site's page, where the site is built.", "content": {"text/html": {}}},
        302: {"description": f"To `{DOCS}`, where it is not."},
        304: {"description": "`If-None-Match` names the current `ETag`."},
        **error_answers(),
    },
)
def index() -> WerkzeugResponse:
    """Show the board's site, or redirect to the documentation."""
    site = components().site
    return redirect(DOCS) if site is None else site.page()


@bp.get(PATH, tags=[POSTS], responses=file_answers(CONTENT_TYPE, errors=(400, 503)))
@checked
def feed(query: FeedQuery) -> Response:
    """List the newest posts, or those of a category, as an Atom feed."""
    page = cast(ListPage, services.list_posts(NEWEST, category=query.category).value)
    return respond_feed(page.items, category=query.category, site_url=components().settings.site_url)


@pages.get("/write")
@pages.get("/my")
@pages.get("/sign-in")
@pages.get("/signed-in")
@pages.get("/account")
@pages.get("/admin")
def page() -> Response:
    """Show a page whose content needs the site's scripts."""
    return _site().page()


@pages.get("/posts/<name>/edit")
@pages.get("/admin/<path:name>")
def page_of(name: str) -> Response:  # noqa: ARG001 - read by the site's scripts
    """Show a page of one thing, which the site's scripts find."""
    return _site().page()


@pages.get("/posts/<post_id>")
def post_page(post_id: str) -> Response:
    """Show a post's page, with its preview for those who run no scripts; 404 where nobody may see one."""
    preview = services.preview_post(post_id) if re.fullmatch(ID_PATTERN, post_id) else None
    if preview is None:
        return _site().page(status=404)
    return _site().page(LinkPreview(path=f"/posts/{post_id}", **preview._asdict()))


@pages.get("/assets/<path:name>")
def asset(name: str) -> Response:
    """Serve a file with a digest in its name."""
    return _file(f"{HASHED}{name}")


def register(app: Flask, site: Site) -> None:
    """Add the routes of a built site to an application, with one for each file beside its page."""
    app.register_blueprint(pages)
    for name in site.top_level:
        app.add_url_rule(f"/{name}", f"pages.file:{name}", partial(_file, name))


def _site() -> Site:
    return cast(Site, components().site)  # these routes are registered with it alone


def _file(name: str) -> Response:
    file = _site().file(name)
    if file is None:
        raise NotFound
    return file
