"""Write docs/settings.md from the descriptions and the defaults of ``config.Settings``: ``make docs``."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import PROJECT_ROOT, REQUIRED_IN_PRODUCTION, Settings, load_config

PAGE = Path(__file__).with_name("settings.md")
HEAD = """\
# Settings

For operators and developers: every environment variable that it reads, with its default. `make docs` writes this page
from `config.py`.

In development, variables are also read from `.env` (see `.env.example`). An empty variable counts as unset. A wrong
value stops the start with one line that names the variable. In production, set `FLASK_ENV=production` and all variables
that are "required in production", then run `gunicorn -c gunicorn.conf.py app:app` (`python app.py` is the same).

| variable | default | meaning |
|---|---|---|
"""
# The titles of groups, each by the first setting of its group.
GROUPS = {
    "flask_app": "Application",
    "host": "Server",
    "database_url": "Database",
    "cognito_user_pool_id": "Users",
    "s3_bucket_name": "Images and AWS",
    "comment_service_url": "Comments",
    "redis_url": "Redis, views, limits",
    "log_level": "Logs and traces",
}
MYSQL = {"DATABASE_URL": "mysql+pymysql://user:password@host/postdb"}
PRODUCTION = {
    **MYSQL,
    "FLASK_ENV": "production",
    "SECRET_KEY": "x" * 32,
    "COGNITO_USER_POOL_ID": "ap-northeast-2_a",
    "COGNITO_REGION": "ap-northeast-2",
    "COGNITO_CLIENT_ID": "a",
}


def page() -> str:
    """Return the page."""
    development, on_mysql, production = load_config({}), load_config(MYSQL), load_config(PRODUCTION)
    lines = []
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            lines.append(f"| **{GROUPS[name]}** | | |")
        values = [_shown(getattr(settings, name)) for settings in (development, on_mysql, production)]
        meaning = " ".join([*(field.description or "").split(), *_range(field.metadata)])
        lines.append(f"| `{name.upper()}` | {_default(name, *values)} | {meaning} |")
    return HEAD + "\n".join(lines) + "\n"


def _default(name: str, development: str, on_mysql: str, production: str) -> str:
    if name == "flask_env":
        return development
    if name.upper() in REQUIRED_IN_PRODUCTION:
        return "required in production"
    if development == production:
        return production
    if on_mysql == production:
        return f"{production}; on SQLite {development}"
    if development.startswith(production):
        return f"{production}; in development also {development.removeprefix(f'{production}, ')}"
    return f"{production}; in development {development}"


def _shown(value: Any) -> str:
    if value in (None, "", ()):
        return "none"
    if isinstance(value, Path):
        return f"`{value.relative_to(PROJECT_ROOT)}/`"
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _range(metadata: list[Any]) -> list[str]:
    bounds = {kind: getattr(one, kind) for one in metadata for kind in ("ge", "gt", "le") if hasattr(one, kind)}
    if not bounds:
        return []
    lowest = f"{bounds['ge']:,}" if "ge" in bounds else f"above {bounds['gt']:,}"
    return [f"Range: {lowest} to {bounds['le']:,}."]


if __name__ == "__main__":
    PAGE.write_text(page())
