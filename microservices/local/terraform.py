"""Values of the Terraform files: names, keys and limits are read from what is deployed, so there is no second list."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

FOLDER = Path(__file__).parents[1] / "terraform"
OPTIONS = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False)

CONDITION = re.compile(r'(.+?) == "([^"]*)" \? (.+) : (.+)', re.DOTALL)
REFERENCE = re.compile(r"[a-z]\w*(\.\w+)+")
WHOLE = re.compile(r"\$\{(.*)\}", re.DOTALL)
HOLE = re.compile(r"\$\{([^{}]*)\}")


class Unresolved(LookupError):
    """An expression that needs Terraform itself: a function, or an attribute that AWS makes."""


class Terraform:
    """
    The blocks of one folder's files, and the values of their simple expressions.

    It understands literals, ``"…${…}…"``, references to variables, locals and arguments of resources, and
    ``a == "text" ? b : c``. Anything else is ``Unresolved``.
    """

    def __init__(self, folder: Path = FOLDER, **variables: Any) -> None:
        self._variables = variables
        self._files = [
            hcl2.loads(path.read_text(), serialization_options=OPTIONS) for path in sorted(folder.glob("*.tf"))
        ]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """
        Resources of one type.

        Args:
            kind: Type of the resources, such as ``aws_dynamodb_table``.

        Returns:
            Their arguments by name, as written; ``value`` resolves an argument.
        """
        found = (block[kind] for block in self._blocks("resource") if kind in block)
        return {name: arguments for block in found for name, arguments in block.items()}

    def value(self, expression: Any) -> Any:
        """
        Resolve an argument as it is written.

        Args:
            expression: Argument of a resource or a local, or a list or map of such.

        Returns:
            The value that Terraform would give it.

        Raises:
            Unresolved: The expression, or a part of it, needs Terraform itself.
        """
        if isinstance(expression, dict):
            return {self.value(key): self.value(inner) for key, inner in expression.items()}
        if isinstance(expression, list):
            return [self.value(inner) for inner in expression]
        if isinstance(expression, str):
            return self._text(expression)
        return expression

    def local(self, name: str) -> Any:
        """
        Resolve a local value.

        Args:
            name: Its name, without ``local.``.

        Returns:
            The value that Terraform would give it.

        Raises:
            Unresolved: There is no such local, or it needs Terraform itself.
        """
        for block in self._blocks("locals"):
            if name in block:
                return self.value(block[name])
        raise Unresolved(f"local.{name}")

    def _blocks(self, kind: str) -> Iterator[dict[str, Any]]:
        return (block for file in self._files for block in file.get(kind, []))

    def _text(self, text: str) -> Any:
        whole = WHOLE.fullmatch(text)
        if whole and (CONDITION.fullmatch(whole[1]) or "}" not in whole[1]):
            return self._expression(whole[1])
        filled = HOLE.sub(lambda hole: str(self._expression(hole[1])), text)
        if "${" in filled:
            raise Unresolved(text)
        return filled

    def _expression(self, text: str) -> Any:
        if condition := CONDITION.fullmatch(text):
            tested, wanted, then, otherwise = condition.groups()
            return self._expression(then if self._expression(tested) == wanted else otherwise)
        if text.startswith('"') and text.endswith('"'):
            return self._text(text[1:-1])
        if REFERENCE.fullmatch(text):
            return self._reference(*text.split("."))
        raise Unresolved(text)

    def _reference(self, kind: str, name: str, *path: str) -> Any:
        if kind == "local":
            value = self.local(name)
        elif kind == "var":
            value = self._variable(name)
        else:
            value = {key: self.value(inner) for key, inner in self.resources(kind).get(name, {}).items() if key in path}
        for key in path:
            if not isinstance(value, dict) or key not in value:
                raise Unresolved(".".join((kind, name, *path)))
            value = value[key]
        return value

    def _variable(self, name: str) -> Any:
        if name in self._variables:
            return self._variables[name]
        for block in self._blocks("variable"):
            if "default" in block.get(name, {}):
                return self.value(block[name]["default"])
        raise Unresolved(f"var.{name}")


def key_of(reference: str) -> str:
    """
    Return the key of a resource.

    Args:
        reference: Reference to one of its attributes, as it is written.
    """
    return reference.strip("${}").split(".")[1]


@cache
def deployed() -> Terraform:
    """The platform's own files, with the variables' defaults, and ``local`` at the end of the buckets' names."""
    return Terraform(bucket_suffix="local")
