"""The pages: what they name is there, and what there is they name."""

import re
from pathlib import Path

import click
import pytest
from flask import Flask
from flask_migrate import Migrate

from docs import write_settings
from post import messages
from post.cli import commands
from post.paging import PER_PAGE_MAX, SORT_COLUMNS
from post.services.media import MEDIA_MAX_PER_POST
from post.services.uploads import FILES_MAX_PER_REQUEST
from post.text import TEXT_MAX_BYTES
from post.utils import CATEGORY_MAX_CHARS, IDEMPOTENCY_KEY_MAX_CHARS, TITLE_MAX_CHARS, USER_ID_MAX_CHARS
from post.validators.fields import INTEGER_MAX, SEARCH_MAX_CHARS
from post.web.cors import ALLOWED_HEADERS, EXPOSED_HEADERS
from tests.pages import broken_links, cells, names, section
from tests.servers import PROJECT

READMES = ["README.md", "README.ko.md"]
README_MAX_BYTES = 9000
DOCS = [str(path.relative_to(PROJECT)) for path in sorted((PROJECT / "docs").glob("*.md"))]
PAGES = [*READMES, "CHANGELOG.md", "CONTRIBUTING.md", *DOCS, "bench/README.md"]
ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE)")


def read(page: str) -> str:
    return (PROJECT / page).read_text()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_leads_to_what_there_is(page):
    assert list(broken_links(read(page), (PROJECT / page).parent)) == []


@pytest.mark.parametrize("page", [*DOCS, "CHANGELOG.md", "CONTRIBUTING.md", "bench/README.md"])
def test_a_page_begins_with_whom_it_is_for(page):
    assert read(page).split("\n\n")[1].startswith("For ")


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_is_short_and_leads_to_every_page(readme):
    text = read(readme)

    assert len(text.encode()) <= README_MAX_BYTES
    assert [page for page in [*DOCS, "CHANGELOG.md", "CONTRIBUTING.md"] if f"]({page})" not in text] == []


def test_both_readmes_show_the_same_commands_and_routes():
    ours, theirs = map(read, READMES)

    assert re.findall(r"```console\n.*?```", ours, re.DOTALL) == re.findall(r"```console\n.*?```", theirs, re.DOTALL)
    assert list(map(names, cells(section(ours, "Routes"), 0))) == list(map(names, cells(section(theirs, "API"), 0)))


def routes_of_the_readme() -> set[tuple[str, str]]:
    found = set()
    for cell in cells(section(read("README.md"), "Routes"), 0):
        path = None
        for name in reversed(names(cell)):  # "`PUT`, `PATCH`, `DELETE /path`": the path stands last
            method, _, own_path = name.partition(" ")
            path = own_path or path
            found.add((method, path))
    return found


def test_the_readme_has_every_route(shared_app):
    rules = [rule for rule in shared_app.url_map.iter_rules() if rule.rule.startswith(("/api/v1", "/health", "/dev"))]
    routed = {
        (method, rule.rule.replace("<post_id>", "{id}").replace("<", "{").replace(">", "}"))
        for rule in rules
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }

    assert routes_of_the_readme() == routed


# Commands


def known_commands() -> set[str]:
    app = Flask("pages")
    commands.register(app)
    Migrate(app)
    from flask_migrate import cli

    groups = {**app.cli.commands, "db": cli.db}
    return {
        " ".join([name, *rest])
        for name, command in groups.items()
        for rest in ([[inner] for inner in command.commands] if isinstance(command, click.Group) else [[]])
    }


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_commands_that_there_are(page):
    text = read(page)
    ours = known_commands()
    flask = set(
        re.findall(r"\bflask ((?:(?:images|users|idempotency|counters|search|moderation|db) )?[a-z]+[a-z-]*)", text)
    )

    assert {command for command in flask if command not in ours} == set()
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:^|[`;&] ?|\d )make ([a-z]+)", text, flags=re.MULTILINE)) <= targets


# Settings


def test_the_page_of_settings_is_what_make_docs_writes():
    assert read("docs/settings.md") == write_settings.page()


def test_every_setting_has_a_description():
    assert [name for name, field in write_settings.Settings.model_fields.items() if not field.description] == []
    assert set(write_settings.GROUPS) <= set(write_settings.Settings.model_fields)


# The API


def test_the_table_of_errors_has_the_codes_that_there_are():
    told = {name for cell in cells(section(read("docs/api.md"), "Error codes"), 1) for name in names(cell)}

    assert told == set(messages.ERRORS)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Limits of fields", f"1 to {TITLE_MAX_CHARS} characters"),
        ("Limits of fields", f"{TEXT_MAX_BYTES:,} bytes"),
        ("Limits of fields", f"1 to {CATEGORY_MAX_CHARS} characters"),
        ("Limits of fields", f"{SEARCH_MAX_CHARS} characters"),
        ("Limits of fields", f"1 to {USER_ID_MAX_CHARS} characters"),
        ("Limits of fields", f"0 to {INTEGER_MAX:,}"),
        ("Limits of fields", f"1 to {IDEMPOTENCY_KEY_MAX_CHARS} printable"),
        ("Lists and paging", f"above {PER_PAGE_MAX} posts"),
        ("Images", f"{MEDIA_MAX_PER_POST} images"),
        ("Images", f"{FILES_MAX_PER_REQUEST} files"),
        *[("Lists and paging", f"`{sort}`") for sort in SORT_COLUMNS],
        *[("Headers and CORS", f"`{header}`") for header in [*ALLOWED_HEADERS, *EXPOSED_HEADERS]],
    ],
)
def test_the_page_of_the_api_has_the_limits_that_hold(title, words):
    assert words in " ".join(section(read("docs/api.md"), title).split())


# Operations


def test_what_troubleshooting_quotes_the_service_says():
    files = [PROJECT / "config.py", PROJECT / "gunicorn.conf.py", *PROJECT.glob("post/**/*.py")]
    code = "\n".join(path.read_text() for path in files)
    quoted = [name for cell in cells(section(read("docs/operations.md"), "Troubleshooting"), 0) for name in names(cell)]
    lines = [re.sub(r"[: ]*…$", "", name) for name in quoted if re.match(r"[A-Z_]+: ", name)]

    assert len(lines) >= 3
    assert [line for line in lines if line.partition(": ")[2].partition("=")[0] not in code] == []


# Architecture

ARCHITECTURE = "docs/architecture.md"


def test_the_files_that_the_architecture_names_are_there():
    named = [name for cell in cells(section(read(ARCHITECTURE), "Where is what"), 1) for name in names(cell)]

    assert len(named) > 40
    assert [name for name in named if not (PROJECT / name).exists()] == []


def modules_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__"}


def test_the_table_of_rooms_has_every_module():
    rows = section(read(ARCHITECTURE), "Rooms")
    told = dict(zip(cells(rows, 0), map(names, cells(rows, 2)), strict=True))
    rooms = {names(cell)[0]: set(modules) for cell, modules in told.items() if cell.startswith("`")}
    there = {f"{path.parent.relative_to(PROJECT)}/": modules_in(path.parent) for path in PROJECT.glob("post/**/*.py")}

    assert rooms.pop("post/") <= there.pop("post/")
    assert rooms == there
