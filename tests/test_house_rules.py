"""The house rules that a machine can check: layers, sizes, guards, documents."""

import ast
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch

import openapi_spec_validator
import pytest
from flask import Flask
from flask_openapi import APIBlueprint
from werkzeug.routing import Rule

from config import Settings
from post.auth_utils.guards import token_required
from post.openapi.document import new_openapi_app
from post.web.request_checks import checked
from tests.servers import PROJECT

FUNCTION_MAX_LINES = 30
ROUTE_MAX_LINES = 10
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
FILES = [PROJECT / "app.py", PROJECT / "config.py", PROJECT / "gunicorn.conf.py", *sorted(PROJECT.glob("post/**/*.py"))]
# Parsed at import: beside threads Python 3.11 now and then refuses to (SystemError: recursion depth mismatch).
TREES = {str(path.relative_to(PROJECT)): ast.parse(path.read_text()) for path in FILES}

# What each room may import of this project, besides itself; the modules outside of packages are one room.
GROUND = {"config", "post"} | {
    f"post.{name}" for name in ("errors", "fetching", "messages", "paging", "setting_urls", "text", "utils")
}
RESOURCES = {"post.database", "post.images", "post.models", "post.shared", "post.telemetry"}  # one outside thing each
HTTP = {"post.auth_utils", "post.openapi", "post.validators", "post.web"}
ROOMS = {
    "config.py": GROUND,
    "post/*.py": GROUND,
    "post/telemetry/*": GROUND,
    "post/shared/*": GROUND | {"post.telemetry"},
    "post/database/*": GROUND | {"post.models", "post.shared", "post.telemetry"},
    "post/images/*": GROUND | {"post.shared"},
    "post/images/program/*": set(),  # a program apart
    "post/services/*": GROUND | RESOURCES | {"post.components"},
    "post/openapi/*": GROUND,
    "post/validators/*": GROUND,
    "post/auth_utils/*": GROUND | {"post.components", "post.telemetry"},
    "post/web/*": GROUND | HTTP | RESOURCES,
    "post/server/*": GROUND | RESOURCES,
    "post/routes/*": GROUND | HTTP | {"post.components", "post.database", "post.images", "post.services"},
    "post/cli/*": GROUND | RESOURCES | {"post.components", "post.services"},
    "gunicorn.conf.py": GROUND | HTTP | RESOURCES | {"post.components", "post.server"},
}
ENTRY = "app.py"


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(file) for file in TREES}


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a file but those that only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from run_time_nodes(node)


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, wherever in it; ``from post import x`` is ``post.x`` where that is a module."""
    for node in run_time_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if inner in MODULES else module


def own_imports_of(tree: ast.AST) -> set[str]:
    return {name for name in imports_of(tree) if name.split(".")[0] in ("app", "config", "post", "tests")}


def room_of(file: str) -> str:
    """The most exact of ``ROOMS`` that a file is in."""
    return max((room for room in ROOMS if fnmatch(file, room)), key=len)


def package_of(room: str) -> str:
    return module_of(room.removesuffix("/*"))


def forbidden_imports_of(file: str, tree: ast.AST) -> set[str]:
    """What a file imports of the project and its room may not."""
    room = room_of(file)
    allowed = {*ROOMS[room], package_of(room)}
    return {module for module in own_imports_of(tree) if not is_in(module, allowed)}


def is_in(module: str, rooms: set[str]) -> bool:
    """Whether a module is in one of the rooms; ``post`` stands for its ``__init__`` alone."""
    return any(module == room or (room != "post" and module.startswith(f"{room}.")) for room in rooms)


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def lines_of(function: ast.FunctionDef) -> int:
    """How many lines a function has, without its decorators, docstring, and the functions within it."""
    lines = set(range(function.lineno, function.end_lineno + 1))
    if ast.get_docstring(function) is not None:
        lines -= set(range(function.body[0].lineno, function.body[0].end_lineno + 1))
    for inner in functions_of(ast.Module(function.body, [])):
        lines -= set(range(inner.lineno, inner.end_lineno + 1))
    return len(lines)


def of(names: list[str]) -> list[str]:
    """The files among the project's that are named, or lie in a package of that name."""
    return [
        file for file in TREES if any(file in (f"{name}.py", name) or file.startswith(f"{name}/") for name in names)
    ]


# Layers


@pytest.mark.parametrize("file", [file for file in TREES if file != ENTRY])
def test_a_module_imports_only_what_its_room_may(file):
    assert forbidden_imports_of(file, TREES[file]) == set()


FROM_ABOVE = ast.parse(
    "def late():\n    from post import routes\nimport post.auth_utils\nfrom post.validators import Title\n"
)


def test_an_import_from_above_breaks_the_rule():
    wrong = forbidden_imports_of("post/services/posts.py", FROM_ABOVE)

    assert wrong == {"post.routes", "post.auth_utils", "post.validators"}


def test_only_the_components_import_for_type_checkers_alone():
    """They name the types of every room, and need none of them at run time."""
    assert [file for file, tree in TREES.items() if "TYPE_CHECKING" in names_of(tree)] == ["post/components.py"]


def test_every_room_is_there_and_says_what_belongs_in_it():
    packages = sorted({str(path.parent.relative_to(PROJECT)) for path in PROJECT.glob("post/**/*.py")} - {"post"})

    assert {f"{package}/*" for package in packages} == {room for room in ROOMS if room.endswith("/*")}
    for package in packages:
        sentence = ast.get_docstring(TREES[f"{package}/__init__.py"])
        assert sentence is not None, package
        assert sentence.partition("\n")[0].endswith("."), package


def test_no_two_modules_import_each_other():
    needs = {module_of(file): own_imports_of(tree) for file, tree in TREES.items() if file != ENTRY}
    left, reachable = dict(needs), set()

    while True:
        free = {module for module, imported in left.items() if imported & set(left) - {module} == set()}
        if not free:
            break
        reachable |= free
        left = {module: imported for module, imported in left.items() if module not in free}

    assert left == {}
    assert reachable == set(needs)


@pytest.mark.parametrize("file", [*of(["post/services", "post/validators", "post/models", "post/errors"])])
def test_rules_and_checks_know_nothing_of_http(file):
    """Flask-SQLAlchemy's ``db`` is the models' alone."""
    http = {"flask", "werkzeug", "flask_openapi", "flask_cors", "http", "requests"}

    assert {name for name in imports_of(TREES[file]) if name.split(".")[0] in http} == set()


def names_of(tree: ast.AST) -> Iterator[str]:
    """Every name and attribute in a file, dotted where it is written so."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)):
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", [file for file in TREES if file != "config.py"])
def test_nothing_but_the_settings_reads_the_environment(file):
    readers = {"os.environ", "os.environb", "os.getenv", "os.putenv", "dotenv.load_dotenv", "dotenv.dotenv_values"}
    written = [
        node for node in ast.walk(TREES[file]) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    ]

    named = Counter(names_of(TREES[file])) - Counter(ast.unparse(node.value) for node in written)
    assert readers & named.keys() == set()


def calls_of(tree: ast.AST, *names: str) -> list[str]:
    """Where functions of these names are called: the name of the function around the call."""
    found = []
    for function in functions_of(tree):
        nested = {inner for child in functions_of(ast.Module(function.body, [])) for inner in ast.walk(child)}
        calls = [node for node in set(ast.walk(function)) - nested if isinstance(node, ast.Call)]
        found += [function.name for call in calls if ast.unparse(call.func).rpartition(".")[2] in names]
    return found


ERROR_ANSWERS = "post/web/error_answers.py"


def test_one_module_maps_errors_to_statuses():
    mappers = {file for file, tree in TREES.items() if calls_of(tree, "errorhandler", "register_error_handler")}
    statuses = {file for file, tree in TREES.items() if {"HTTP_STATUS", "HTTP_CODES"} & set(names_of(tree))}

    assert mappers == statuses == {ERROR_ANSWERS}


def test_only_that_module_and_the_readiness_probe_build_error_bodies():
    """The probe's 503 is its answer: it says what is down beside the envelope."""
    built = {(file, function) for file, tree in TREES.items() for function in calls_of(tree, "respond_error", "abort")}

    assert {place for place in built if place[0] != ERROR_ANSWERS} <= {("post/routes/system.py", "ready")}


@pytest.mark.parametrize("file", of(["post/routes"]))
def test_routes_never_catch_errors(file):
    assert [node.lineno for node in ast.walk(TREES[file]) if isinstance(node, ast.Try)] == []


def test_only_a_transaction_commits():
    begins = [(file, function) for file, tree in TREES.items() for function in calls_of(tree, "begin")]

    assert begins == [("post/database/writes.py", "transaction")]  # which commits by itself
    commits = [(file, function) for file, tree in TREES.items() for function in calls_of(tree, "commit")]
    assert commits == [("post/database/circuit.py", "commit")]  # the driver's, for SQLAlchemy's call at a block's end


def test_queries_are_written_with_select_update_and_delete():
    legacy = {
        file: [name for name in names_of(tree) if re.search(r"\b(session|[A-Z]\w+)\.query$", name)]
        for file, tree in TREES.items()
    }

    assert {file: names for file, names in legacy.items() if names} == {}


# Guards


def unguarded(app: Flask) -> set[tuple[str, str]]:
    """The write routes that can be reached without a token."""
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods & WRITES
        if not getattr(app.view_functions[rule.endpoint], "__guarded__", False)
    }


def test_every_write_route_is_guarded(app):
    """But for the local issuer: one needs no token to get one. And for a hint, which changes nothing by itself."""
    assert unguarded(app) == {("POST", "/dev/token"), ("POST", "/api/v1/posts/<post_id>/update-comment-count")}


def test_a_write_route_without_a_guard_is_noticed():
    app, blueprint = new_openapi_app(__name__), APIBlueprint("sample", __name__)

    @blueprint.post("/open")
    @checked
    def reachable() -> str:
        return ""

    @blueprint.put("/guarded")
    @token_required
    @checked
    def guarded() -> str:
        return ""

    app.register_api(blueprint)

    assert unguarded(app) == {("POST", "/open")}


def test_the_guard_stands_outside_the_check_of_the_request():
    """So that a missing token is told before a wrong body."""
    wrong = []
    for file in of(["post/routes"]):
        for function in functions_of(TREES[file]):
            names = [ast.unparse(decorator).partition("(")[0] for decorator in function.decorator_list]
            wrong += [function.name] if "checked" in names[:-1] else []

    assert wrong == []


# The OpenAPI document


def public_rules(app: Flask) -> list[Rule]:
    """The URL map's rules, less those for nginx alone."""
    return [rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("internal.")]


def routes_of(app: Flask) -> set[tuple[str, str]]:
    """Methods and paths of the URL map, less what Flask answers by itself."""
    return {
        (method, re.sub(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule.rule))
        for rule in public_rules(app)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def documented(document: dict) -> set[tuple[str, str]]:
    methods = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item if method in methods}


def test_the_document_has_every_route_and_no_other(app, client):
    document = client.get("/api/openapi.json").json

    assert documented(document) == routes_of(app)


def test_the_document_is_valid_openapi_3_1(client):
    document = client.get("/api/openapi.json").json

    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.OpenAPIV31SpecValidator(document).validate()


def test_every_operation_has_a_name_of_its_own_and_a_summary(client):
    document = client.get("/api/openapi.json").json

    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] and operation["tags"] and operation["responses"] for operation in operations)


def test_the_document_says_which_routes_want_a_token(app, client):
    document = client.get("/api/openapi.json").json
    rules = {rule.endpoint: rule for rule in public_rules(app)}

    for endpoint, rule in rules.items():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            operation = document["paths"][path][method.lower()]
            wants_token = {} not in operation.get("security", [{}])
            assert wants_token == getattr(app.view_functions[endpoint], "__guarded__", False), (method, path)
            assert not wants_token or "401" in operation["responses"], (method, path)


def test_the_document_says_that_a_deactivated_account_writes_nothing(app, client):
    """But for the route that deactivates it, which may be called again."""
    paths = client.get("/api/openapi.json").json["paths"]
    operations = {(method, path): operation for path, item in paths.items() for method, operation in item.items()}
    guarded = {route for route, operation in operations.items() if {} not in operation.get("security", [{}])}

    silent = {(method, path) for method, path in guarded if "403" not in operations[method, path]["responses"]}

    assert {route for route in silent if route[0] != "get"} == {("post", "/api/v1/users/me/deactivate")}


# Size and shape


@pytest.mark.parametrize("file", TREES)
def test_a_function_has_at_most_30_lines_without_its_docstring(file):
    long = {function.name: lines_of(function) for function in functions_of(TREES[file])}

    assert {name: lines for name, lines in long.items() if lines > FUNCTION_MAX_LINES} == {}


def test_the_median_function_has_at_most_8_lines():
    sizes = [lines_of(function) for tree in TREES.values() for function in functions_of(tree)]

    assert statistics.median(sizes) <= 8


@pytest.mark.parametrize("file", of(["post/routes"]))
def test_a_route_has_at_most_10_lines(file):
    """Check the request, call one service, answer."""
    routes = [function for function in functions_of(TREES[file]) if function.decorator_list]

    assert {route.name: lines_of(route) for route in routes if lines_of(route) > ROUTE_MAX_LINES} == {}


# Words


def public_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of those classes."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef))
                yield from (method for method in methods if not method.name.startswith("_"))


@pytest.mark.parametrize(
    "file",
    of(["post/services", "post/validators", "post/auth_utils", "post/utils", "post/routes", "post/system"]),
)
def test_what_is_public_has_a_docstring(file):
    assert [node.name for node in public_of(TREES[file]) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("file", of(["post/routes"]))
def test_a_routes_docstring_is_one_line(file):
    routes = [function for function in functions_of(TREES[file]) if function.decorator_list]

    assert [route.name for route in routes if "\n" in (ast.get_docstring(route) or "")] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_suppression_says_why(path):
    suppressions = [line for line in path.read_text().splitlines() if re.search(r"# (noqa|type: ignore)", line)]

    pattern = r"# (noqa: [A-Z0-9, ]+ - \S.*|type: ignore\[[\w-]+(, ?[\w-]+)*\]  # \S.*)"
    assert [line for line in suppressions if not re.search(pattern, line)] == []


def test_every_setting_is_in_the_table_of_settings():
    rows = [line for line in (PROJECT / "docs" / "settings.md").read_text().splitlines() if line.startswith("|")]

    told = {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row.split("|")[1])}

    assert {setting.upper() for setting in Settings.model_fields} == told


# Packages


def pins_of(file: str) -> dict[str, str]:
    """The packages that a file pins, by their names in PyPI's one spelling."""
    found = re.findall(r"^([\w.-]+)(?:\[\w,]+\])?==([^\s;]+)", (PROJECT / file).read_text(), re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-checkov", "requirements-site"])
def test_every_package_is_pinned_with_the_hashes_of_its_files(name):
    text = re.sub(r"^ *#.*\n", "", (PROJECT / f"{name}.txt").read_text(), flags=re.M).replace("\\\n", "")

    unhashed = [line for line in text.splitlines() if not re.search(r"==.*--hash=sha256:[0-9a-f]{64}", line)]

    assert unhashed == []
    assert pins_of(f"{name}.in").items() <= pins_of(f"{name}.txt").items()


def test_the_tests_have_the_packages_of_the_service():
    assert pins_of("requirements.txt").items() <= pins_of("requirements-dev.txt").items()


def test_what_gunicorn_keeps_to_itself_is_left_alone():
    """Its hooks and settings are for others; its parser and workers change with each release."""
    assert [str(path) for path in FILES if re.search(r"gunicorn.(http|workers)", path.read_text())] == []
