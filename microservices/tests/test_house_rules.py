"""The rules of the platform's house: who may import whom, how long a function is, what a docstring says."""

import ast
import re
import statistics
import sys
from fnmatch import fnmatch
from importlib.metadata import packages_distributions

import pytest

from microservices.tests.running import PROJECT

ROOT = PROJECT / "microservices"
SERVICES = {"auth", "users", "notifications", "products", "orders"}
LOCAL = "local"
FILES = {
    str(path.relative_to(ROOT)): path
    for path in sorted(ROOT.rglob("*.py"))
    if not fnmatch(str(path.relative_to(ROOT)), "tests/*")
}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
FUNCTION_MAX_LINES = 30
# What an argument's or a module's docstring must not open with.
WEAK_OPENINGS = ("What", "Whether", "That", "Which", "How", "Where")


def service_files(service):
    return [name for name in FILES if name.startswith(f"{service}/")]


def imports_of(tree):
    """Modules that a file imports, wherever in it; relative ones stay in their own package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def own_of(names):
    """The part of imports that is the repository's."""
    ours = {"app", "config", "post", "microservices", "shared", "tests", *SERVICES}
    return {name.split(".")[0] for name in names if name.split(".")[0] in ours}


def reached_from(files):
    """Files, and the modules of shared that they import, these in turn included."""
    found, left = set(), set(files)
    while left:
        name = left.pop()
        found.add(name)
        left |= {file for file in map(file_of, shared_of(TREES[name])) if file} - found
    return found


def shared_of(tree):
    """Modules of shared that a file imports: ``from shared import http`` and ``from shared.http import …``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "shared":
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(module):
    name = f"{module.replace('.', '/')}.py"
    return name if name in FILES else None


BUILT = sorted(service for service in SERVICES if service_files(service))


def beyond(files, allowed):
    """Imports of the repository that files have and may not."""
    wrong = {name: own_of(imports_of(TREES[name])) - allowed for name in files}
    return {name: found for name, found in wrong.items() if found}


@pytest.mark.parametrize("service", BUILT)
def test_a_service_imports_itself_and_shared_alone(service):
    assert beyond(service_files(service), {service, "shared"}) == {}


def test_shared_imports_nothing_above_it():
    assert beyond(service_files("shared"), {"shared"}) == {}


def test_the_local_run_imports_no_service():
    """It runs them as processes, as AWS does."""
    assert beyond(service_files(LOCAL), {"microservices"}) == {}


def test_nothing_of_the_other_system_is_imported():
    assert [name for name, tree in TREES.items() if own_of(imports_of(tree)) & {"app", "config", "post"}] == []


@pytest.mark.parametrize("service", BUILT)
def test_a_service_imports_only_packages_that_its_zip_or_image_holds(service):
    """Or that come with one of them: botocore with boto3, pydantic_core with pydantic."""
    pins = (ROOT / service / "requirements.in").read_text()
    named = {line.partition("==")[0].partition("[")[0].lower().replace("_", "-") for line in pins.splitlines()}
    named |= {"botocore", "pydantic-core"}
    modules = packages_distributions()
    outside = {
        name.split(".")[0] for file in reached_from(service_files(service)) for name in imports_of(TREES[file])
    } - {service, "shared", *sys.stdlib_module_names}

    missing = {
        name for name in outside if not {one.lower().replace("_", "-") for one in modules.get(name, [name])} & named
    }
    assert missing == set()


def functions_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines_of(function):
    """Lines of a function without its decorators, docstring, and the functions within it."""
    lines = set(range(function.lineno, function.end_lineno + 1))
    if ast.get_docstring(function) is not None:
        lines -= set(range(function.body[0].lineno, function.body[0].end_lineno + 1))
    for inner in functions_of(ast.Module(function.body, [])):
        lines -= set(range(inner.lineno, inner.end_lineno + 1))
    return len(lines)


@pytest.mark.parametrize("name", TREES)
def test_a_function_has_at_most_30_lines_without_its_docstring(name):
    long = {one.name: lines_of(one) for one in functions_of(TREES[name])}

    assert {function: lines for function, lines in long.items() if lines > FUNCTION_MAX_LINES} == {}


def test_the_median_function_has_at_most_8_lines():
    assert statistics.median(lines_of(one) for tree in TREES.values() for one in functions_of(tree)) <= 8


def documented(tree):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds) and ast.get_docstring(node)]


@pytest.mark.parametrize("name", TREES)
def test_a_docstring_starts_with_the_noun_or_the_verb(name):
    weak = [
        ast.get_docstring(node).splitlines()[0]
        for node in documented(TREES[name])
        if ast.get_docstring(node).split()[0].rstrip(",:") in WEAK_OPENINGS
    ]

    assert weak == []


@pytest.mark.parametrize("name", TREES)
def test_a_module_says_what_it_is(name):
    assert ast.get_docstring(TREES[name]), name


@pytest.mark.parametrize("name", TREES)
def test_sentences_of_docstrings_have_at_most_25_words(name):
    sentences = [
        sentence
        for node in documented(TREES[name])
        for paragraph in ast.get_docstring(node).split("\n\n")
        if not paragraph.startswith(("Args:", "Returns:", "Raises:", "Yields:"))
        for sentence in re.split(r"(?<=[.:;])\s+", paragraph)
    ]

    assert [sentence for sentence in sentences if len(sentence.split()) > 25] == []


@pytest.mark.parametrize("name", FILES)
def test_every_suppression_says_why(name):
    lines = [line for line in FILES[name].read_text().splitlines() if re.search(r"# (noqa|type: ignore)", line)]

    pattern = r"# (noqa: [A-Z0-9, ]+(-|  #) \S.*|type: ignore\[[\w-]+(, ?[\w-]+)*\]  # \S.*)"
    assert [line for line in lines if not re.search(pattern, line)] == []


def test_the_repository_names_no_machine_of_ours():
    """Paths of a developer's machine would be in every clone."""
    text = {name: path.read_text() for name, path in FILES.items()}

    assert [name for name, source in text.items() if re.search(r"/work/|/tmp/w", source)] == []
