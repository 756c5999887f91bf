"""The built site: its files, and its page with the configuration, the link preview and the policies put in."""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Response, request

from config import ConfigError, Settings
from post.web.envelope import RETRY_AFTER_SECONDS
from post.web.http_cache import not_modified_if_known, set_digest

logger = logging.getLogger(__name__)

PAGE = "index.html"
DIGEST = "sources.sha256"  # in the built site: of what it was built from
# What a build depends on; the same list as in site/scripts/sources.mjs.
SOURCE_FOLDERS = ("src", "public")
SOURCE_FILES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
ENCODINGS = {"br": ".br", "gzip": ".gz"}  # best first, with the endings of the files that the build makes beside
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
FILE_MAX_AGE_SECONDS = 3600
HASHED = "assets/"  # the folder of files with a digest in their names
FOR_A_YEAR = "public, max-age=31536000, immutable"
REFERRER_POLICY = "same-origin"
# No page is there: errors of these keep to the envelope, whatever the client accepts.
NEVER_PAGES = re.compile(r"/(?:api|dev|health|internal)(?:/|\Z)")

_CONFIG = re.compile(r'(<script\b[^>]*\bid="board-config"[^>]*>).*?(</script>)', re.DOTALL)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_DESCRIPTION = re.compile(r'<meta\s+name="description"[^>]*>\s*')
_TOP_LEVEL = re.compile(r"\w[\w.-]*", re.ASCII)
# What HTML forbids in a document, even as a reference (WHATWG HTML, 13.1.4), and what no text should have.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class SiteFile:
    """
    One file of the built site.

    Attributes:
        content_type: By its name's ending.
        bodies: Its content by ``Content-Encoding``; ``identity`` is the file itself.
        digest: Of the content.
    """

    content_type: str
    bodies: Mapping[str, bytes]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPreview:
    """
    One post as links to it show it elsewhere.

    Attributes:
        path: The path of its page.
        title: Its title.
        description: The beginning of its text.
        image: The URL or path of its first image, with width and height in pixels; None without images.
    """

    path: str
    title: str
    description: str
    image: tuple[str, int, int] | None = None


class Site:
    """The built site, read once: what a build changes later is served after the next start."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """
        Read a built site.

        Args:
            folder: The build's, with ``index.html``.
            settings: For the configuration and the policy.

        Raises:
            ConfigError: The page has no title or no place for the configuration.
        """
        self.files = {name: _read(folder / name) for name in _names(folder)}
        text = (folder / PAGE).read_text("utf-8")
        for pattern, what in ((_CONFIG, '<script id="board-config">'), (_TITLE, "<title>")):
            if len(pattern.findall(text)) != 1:
                raise ConfigError(f"SITE_PATH: {PAGE} must have one {what}")
        self._text = _with_config(text, runtime_config(settings))
        self.name = unescape(_TITLE.findall(text)[0]).strip()
        self._page = self._text.encode()
        self._base_url = settings.site_url
        self._policy = content_security_policy(settings)

    def page(self, preview: LinkPreview | None = None, *, status: int = 200) -> Response:
        """
        Return the page.

        Args:
            preview: The head that links to it show elsewhere; None for the site's own.
            status: Of the answer. A page with another than 200 is not to be kept.
        """
        body = self._page if preview is None else self._with_head(preview).encode()
        headers = {"Content-Security-Policy": self._policy, "Referrer-Policy": REFERRER_POLICY}
        response = Response(body, status, headers, content_type=CONTENT_TYPES[".html"])
        if status != 200:
            return response
        response.headers["Cache-Control"] = "no-cache"
        return not_modified_if_known(set_digest(response))

    def page_for_error(self, status: int) -> Response | None:
        """Return the page with an error's status, if a browser navigates where pages may be; else None."""
        if request.method not in ("GET", "HEAD") or NEVER_PAGES.match(request.path) or not _is_navigation():
            return None
        response = self.page(status=status)
        response.headers["Vary"] = "Accept"
        if status == 503:
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    def file(self, name: str) -> Response | None:
        """Return a file in the best encoding that the client takes; None if there is none of this name."""
        file = self.files.get(name)
        if file is None:
            return None
        accepted = request.accept_encodings
        encoding = next((name for name in ENCODINGS if name in file.bodies and accepted[name] > 0), "identity")
        response = Response(file.bodies[encoding], content_type=file.content_type)
        if encoding != "identity":
            response.headers["Content-Encoding"] = encoding
        is_hashed = name.startswith(HASHED)
        response.headers["Cache-Control"] = FOR_A_YEAR if is_hashed else f"public, max-age={FILE_MAX_AGE_SECONDS}"
        response.headers["Vary"] = "Accept-Encoding"
        response.set_etag(f"{file.digest}-{encoding}")
        return not_modified_if_known(response)

    def _absolute(self, url: str) -> str:
        return f"{self._base_url}{url}" if url.startswith("/") else url

    @property
    def top_level(self) -> list[str]:
        """The names of files beside the page, such as ``robots.txt``."""
        return [name for name in self.files if _TOP_LEVEL.fullmatch(name)]

    def _with_head(self, preview: LinkPreview) -> str:
        """Return the page's text with the post's title, description and Open Graph tags (ogp.me)."""
        title, description = _clean(preview.title), _clean(preview.description)
        address = self._absolute(preview.path)
        tags = {"og:type": "article", "og:site_name": self.name, "og:title": title, "og:description": description}
        tags["og:url"] = address
        if preview.image is not None:
            url, width, height = preview.image
            tags |= {"og:image": self._absolute(url), "og:image:width": str(width), "og:image:height": str(height)}
        lines = [
            f"<title>{_text(f'{title} · {self.name}')}</title>",
            f'<meta name="description" content="{_text(description)}">',
            f'<link rel="canonical" href="{_text(address)}">',
            *(f'<meta property="{name}" content="{_text(value)}">' for name, value in tags.items()),
            f'<meta name="twitter:card" content="{"summary_large_image" if preview.image else "summary"}">',
        ]
        head = "\n    ".join(lines)
        return _TITLE.sub(lambda _: head, _DESCRIPTION.sub("", self._text))


def load_site(settings: Settings) -> Site | None:
    """
    Return the site that ``SITE_PATH`` has, or None: nothing is built, or it was built from other sources.

    The sources are looked at where they lie beside the build, as in a developer's checkout.
    """
    folder = settings.site_path
    if not (folder / PAGE).is_file():
        return None
    if (folder.parent / "src").is_dir() and not is_current(folder):
        logger.warning("site_is_stale", extra={"not_served": str(folder), "remedy": "make site"})
        return None
    return Site(folder, settings)


def is_current(folder: Path) -> bool:
    """Return whether a site was built from the sources that lie beside it."""
    digest = folder / DIGEST
    return digest.is_file() and digest.read_text().strip() == sources_digest(folder.parent)


def sources_digest(folder: Path) -> str:
    """
    Return the digest of a site's sources, as site/scripts/sources.mjs writes it.

    It is the SHA-256 of what ``sha256sum`` prints for the files, sorted by their names in UTF-8. Hidden files are none.
    """
    found = [path for name in SOURCE_FOLDERS for path in (folder / name).rglob("*") if path.is_file()]
    found += [folder / name for name in SOURCE_FILES if (folder / name).is_file()]
    names = sorted((path.relative_to(folder).as_posix() for path in found), key=str.encode)
    shown = [name for name in names if "/." not in f"/{name}"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in shown]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def runtime_config(settings: Settings, *, api: str = "") -> dict[str, Any]:
    """
    Return the site's configuration.

    Args:
        settings: The service's.
        api: The base URL of the API; empty on the page's own origin. For a page that is hosted on another origin.
    """
    cognito = None
    if settings.cognito_domain is not None:
        cognito = {"domain": settings.cognito_domain, "client_id": settings.cognito_client_id[0]}
    return {
        "api": api,
        "cognito": cognito,
        "local_issuer": settings.uses_local_issuer,
        "like_requires_auth": settings.like_requires_auth,
    }


def content_security_policy(settings: Settings, *, api: str = "") -> str:
    """Return the page's policy. Arguments as for ``runtime_config``."""
    images = f"https://{settings.cloudfront_domain}" if settings.cloudfront_domain else settings.public_url
    connect = [_origin(url) for url in (api, settings.cognito_domain) if url]
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            " ".join(["img-src 'self' blob: data:", *([_origin(images)] if images else [])]),
            " ".join(["connect-src 'self'", *connect]),
            "font-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _origin(url: str) -> str:
    scheme, host, *_ = urlsplit(url)
    return f"{scheme}://{host}"


def _with_config(text: str, config: Mapping[str, Any]) -> str:
    # Escaped within strings: a script element ends at "</script", and "<!--" in one changes how it ends.
    raw = json.dumps(config, ensure_ascii=True).replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    return _CONFIG.sub(lambda found: f"{found[1]}{raw}{found[2]}", text)


def _names(folder: Path) -> Iterable[str]:
    """Return the files to serve: not the page, which is put together, nor those beside others, nor hidden ones."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in paths]
    own = {PAGE, DIGEST} | {f"{name}{ending}" for name in names for ending in ENCODINGS.values()}
    return [name for name in names if name not in own and "/." not in f"/{name}"]


def _read(path: Path) -> SiteFile:
    bodies = {"identity": path.read_bytes()}
    for encoding, ending in ENCODINGS.items():
        beside = path.with_name(f"{path.name}{ending}")
        if beside.is_file():
            bodies[encoding] = beside.read_bytes()
    content_type = CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return SiteFile(content_type, bodies, _digest(bodies["identity"]))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _is_navigation() -> bool:
    """Return whether the client names HTML among what it accepts, as browsers do for pages alone."""
    return any(value == "text/html" and quality > 0 for value, quality in request.accept_mimetypes)


def _clean(text: str) -> str:
    """Return a text in one line, without characters that no HTML document has."""
    return " ".join(_FORBIDDEN.sub(" ", text).split())


def _text(value: str) -> str:
    return escape(value, quote=True)
