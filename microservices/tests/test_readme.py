"""The README's commands are run and their answers compared; both languages say the same; what pages name is there."""

import re
import subprocess

import pytest

from microservices.local.__main__ import ADMIN, FIRST_PORT
from microservices.local.aws import make_resources
from microservices.local.gateway.document import PATH
from microservices.tests.databases import empty
from microservices.tests.running import (
    PATIENCE_SECONDS,
    PROJECT,
    free_port,
    process_on,
    running_container,
    running_platform,
)
from microservices.tests.test_house_rules import FILES, reached_from, service_files
from tests.pages import broken_links, cells, names, section

FOLDER = PROJECT / "microservices"
READMES = ["README.md", "README.ko.md"]
MAX_BYTES = 9_000
# What differs from run to run.
VARIES = [
    (r'"[A-Za-z0-9_-]{43}"', "SESSION"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
]


def read(page):
    return (FOLDER / page).read_text()


def examples(page):
    """The commands of a page's console blocks, each with its answer."""
    blocks = re.findall(r"```console\n(.*?)```", read(page), flags=re.DOTALL)
    parts = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [tuple(part.strip().split("\n", 1)) for part in parts]


def same_each_time(text):
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return text.strip()


@pytest.mark.slow
def test_the_examples_give_the_answers_that_are_shown(tmp_path, database):
    pairs = examples("README.md")
    script = "\n".join(f"{command.replace('curl', 'curl -s', 1)}\nprintf '\\036'" for command, _ in pairs)
    port = free_port()
    empty(database, "products")
    database.run("products.seed", role="products_app")

    with process_on(port, "-m", "microservices.local.aws", str(port)):
        stand_in = f"http://127.0.0.1:{port}"
        make_resources(stand_in)
        with (
            running_container("products", **database.settings("products_app")) as products_url,
            running_platform(stand_in, tmp_path, products_url=products_url) as url,
        ):
            script = script.replace(f"http://localhost:{FIRST_PORT}/api", url)
            command = ["bash", "-c", script]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)

    assert len(pairs) == 3
    answers = done.stdout.split("\036")[:-1]
    assert [same_each_time(answer) for answer in answers] == [same_each_time(answer) for _, answer in pairs]


@pytest.mark.parametrize("page", READMES)
def test_a_readme_is_short_and_its_links_lead_somewhere(page):
    assert len(read(page).encode()) <= MAX_BYTES
    assert list(broken_links(read(page), FOLDER)) == []


def test_both_readmes_show_the_same():
    ours, theirs = map(read, READMES)

    for pattern in (r"```console\n.*?```", r"`[^`\n]+`", r"^make \w+", r"^\|---", r"^## "):
        found = [re.findall(pattern, text, re.DOTALL | re.MULTILINE) for text in (ours, theirs)]
        assert found[0] == found[1], pattern


def test_the_first_screen_starts_the_platform():
    for page in READMES:
        first = read(page).splitlines()[:30]
        assert any(line.startswith("make platform") for line in first)
        assert sum(line.startswith("$ curl") for line in first) == 3


def test_the_routes_are_the_documents():
    """Of the services that are built; the paths there have no /api, which the edge strips."""
    shown = {
        (method, path.removeprefix("/api"))
        for cell in cells(section(read("README.md"), "Routes"), 0)
        for methods, path in [re.fullmatch(r"(.*) (\S+)", ", ".join(names(cell))).groups()]
        for method in re.findall(r"[A-Z]+", methods)
    }
    paths = re.findall(
        r"^  (/(?:auth|users|products|orders|notifications)\S*):\n(.*?)(?=^  /|^components)",
        PATH.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    there = {
        (method.upper(), path)
        for path, item in paths
        for method in re.findall(r"^    (get|put|post|patch|delete):", item, re.MULTILINE)
    }

    assert shown == there


def test_the_admin_and_the_settings_that_are_named_are_there():
    text = read("README.md")
    source = "".join(path.read_text() for path in FOLDER.glob("local/**/*.py"))
    settings = [name.partition("=")[0] for name in re.findall(r"`([A-Z_]+=\S+)`", text)]

    assert ADMIN["email"] in text
    assert ADMIN["password"] in text
    assert len(settings) == 4
    assert [name for name in settings if name not in source] == []


@pytest.mark.parametrize("page", READMES)
def test_the_repositorys_own_readme_leads_here_on_its_first_screen(page):
    first = "\n".join((PROJECT / page).read_text().splitlines()[:30])

    assert f"(microservices/{page})" in first


def test_the_settings_of_products_are_those_that_it_reads():
    page = section((FOLDER / "products/README.md").read_text(), "Processes")
    shown = {name for cell in cells(page, 0) for name in names(cell)}
    sources = reached_from([*service_files("products"), "shared/gunicorn_conf.py"])
    read = {
        name
        for source in sources
        for name in re.findall(r'settings\.(?:text|number)\(\s*"([A-Z_]+)"', FILES[source].read_text())
    }

    assert shown == read


def test_the_refusals_that_products_page_names_are_there():
    text = (FOLDER / "products/README.md").read_text()
    source = "".join(path.read_text() for path in FOLDER.glob("[ps]*/errors.py"))
    codes = set(re.findall(r'code, text = "([a-z_]+)"', source))

    named = set(re.findall(r"4\d\d `(\w+)`", text))
    assert named == {"idempotency_conflict", "product_not_found", "insufficient_stock", "stock_too_large"}
    assert named <= codes
    assert list(broken_links(text, FOLDER / "products")) == []
