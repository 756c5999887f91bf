"""The Atom feed of the newest posts (RFC 4287)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid5
from xml.etree import ElementTree as ET

from flask import Response

from post import messages
from post.text import name_key
from post.web.envelope import request_language
from post.web.http_cache import not_modified_if_known, set_digest

PATH = "/feed.atom"
ATOM = "http://www.w3.org/2005/Atom"
CONTENT_TYPE = "application/atom+xml"
# Feeds keep their ids where the board moves to another address (RFC 4287, 4.2.6): ids come from no URL.
FEEDS = UUID("6f0c1c1e-6f2b-4f5e-9d0e-2a6d3c5b7a41")
NEVER = "1970-01-01T00:00:00Z"  # when a feed without posts was updated: the element must be there
# What XML 1.0 allows in no document (section 2.2), not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def respond_feed(posts: Sequence[Mapping[str, Any]], *, category: str | None, site_url: str) -> Response:
    """
    Return a feed, or 304 if the caller has it.

    Args:
        posts: Objects of the API with ``excerpt``, newest first.
        category: The name of the category that they are of; None for those of the whole board.
        site_url: The base URL of the site's pages.
    """
    if category is not None and posts:
        category = posts[0]["category"]  # as it is written there, whatever letters the client asked with
    body = ET.tostring(_feed(posts, category, site_url), encoding="utf-8", xml_declaration=True)
    response = Response(body, content_type=f"{CONTENT_TYPE}; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept-Language"
    return not_modified_if_known(set_digest(response))


def _feed(posts: Sequence[Mapping[str, Any]], category: str | None, site_url: str) -> ET.Element:
    feed = ET.Element("feed", {"xmlns": ATOM})
    title = messages.text("feed_title", request_language())
    _add(feed, "id", uuid5(FEEDS, "" if category is None else name_key(category)).urn)
    _add(feed, "title", title if category is None else f"{title}: {category}")
    _add(feed, "updated", max((post["updated_at"] for post in posts), default=NEVER))
    query = "" if category is None else f"?{urlencode({'category': category})}"
    _add(feed, "link", rel="self", type=CONTENT_TYPE, href=f"{site_url}{PATH}{query}")
    _add(feed, "link", rel="alternate", type="text/html", href=f"{site_url}/{query}")
    for post in posts:
        _add_entry(feed, post, site_url)
    return feed


def _add_entry(feed: ET.Element, post: Mapping[str, Any], site_url: str) -> None:
    entry = _add(feed, "entry")
    _add(entry, "id", UUID(post["id"]).urn)
    _add(entry, "title", post["title"])
    _add(entry, "link", rel="alternate", type="text/html", href=f"{site_url}/posts/{post['id']}")
    _add(entry, "published", post["created_at"])
    _add(entry, "updated", post["updated_at"])
    _add(_add(entry, "author"), "name", post["username"])
    _add(entry, "category", term=post["category"])
    _add(entry, "summary", post["excerpt"])


def _add(parent: ET.Element, name: str, text: str | None = None, /, **attributes: str) -> ET.Element:
    """Add an element to another; a text without a type is plain text (RFC 4287, 3.1.1)."""
    kept = {key: _FORBIDDEN.sub("", value) for key, value in attributes.items()}
    element = ET.SubElement(parent, name, kept)
    element.text = None if text is None else _FORBIDDEN.sub("", text)
    return element
