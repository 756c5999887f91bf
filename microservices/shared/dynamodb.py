"""DynamoDB's items as plain values; expressions name attributes by ``#name`` and values by ``:name``."""

import re
import time
from functools import cache
from random import SystemRandom
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError

LIMITS = Config(
    # All tries of one call must end before the Lambda's own 10 seconds.
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    # A sixth of a call's time: this module alone builds the arguments, and DynamoDB checks them again.
    parameter_validation=False,
)
CONFLICT_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)  # seconds at most, before a call that met a transaction is repeated
_RANDOM = SystemRandom()
_NAME = re.compile(r"#(\w+)")
_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

Item = dict[str, Any]


class ConditionFailed(Exception):
    """
    A write's condition did not hold, so nothing was written.

    Attributes:
        item: The item as it is, where the write asked for it; None if there is none.
    """

    def __init__(self, item: Item | None = None) -> None:
        super().__init__("condition failed")
        self.item = item


class TransactionFailed(Exception):
    """
    A transaction was cancelled, so nothing was written.

    Attributes:
        reasons: One code for each write, such as ``None`` and ``ConditionalCheckFailed``.
    """

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = reasons


@cache
def client() -> Any:
    """Return the process's client; region, address and keys come from AWS's own variables."""
    return boto3.client("dynamodb", config=LIMITS)


class Table:
    """
    One table with a partition key alone.

    Args:
        name: Name of the table.
        key: Name of its partition key.
    """

    def __init__(self, name: str, *, key: str) -> None:
        self.name = name
        self._key = key

    def get(self, key: str, *attributes: str) -> Item | None:
        """
        Read an item consistently: every write that was answered before is seen.

        Args:
            key: The item's key.
            attributes: Attributes to read; others stay in the table.

        Returns:
            Those that the item has; None if there is no such item.
        """
        answer = client().get_item(**self.to_get(key, *attributes), ConsistentRead=True)
        return _plain(answer.get("Item"))

    def put(self, item: Item, *, condition: str | None = None, **values: Any) -> None:
        """
        Write a whole item.

        Args:
            item: The item, its key included.
            condition: Expression that must hold for the item as it is; none to replace any.
            values: Values of the condition.

        Raises:
            ConditionFailed: The condition does not hold; it has the item as it is.
        """
        written = {name: _serialize(value) for name, value in item.items()}
        _write("put_item", {"TableName": self.name, "Item": written, **_expressions(condition=condition, **values)})

    def update(self, key: str, update: str, *, condition: str, return_old: bool = False, **values: Any) -> Item:
        """
        Change attributes of an item.

        Args:
            key: The item's key.
            update: Update expression.
            condition: Expression that must hold for the item as it is.
            return_old: True if a failure shall have the item as it is: all of its attributes are read then.
            values: Values of both expressions.

        Returns:
            The attributes that the update changed, with their new values.

        Raises:
            ConditionFailed: The condition does not hold.
        """
        arguments = {**self.to_update(key, update, condition=condition, **values), "ReturnValues": "UPDATED_NEW"}
        answer = _write("update_item", arguments, return_old=return_old)
        return _plain(answer.get("Attributes")) or {}

    def delete(self, key: str, *, condition: str | None = None, **values: Any) -> None:
        """
        Remove an item.

        Args:
            key: The item's key.
            condition: Expression that must hold for the item as it is; none to remove any, or nothing.
            values: Values of the condition.

        Raises:
            ConditionFailed: The condition does not hold.
        """
        _write("delete_item", {**self._item(key), **_expressions(condition=condition, **values)}, return_old=False)

    def scan(self, *attributes: str, limit: int, after: str | None) -> tuple[list[Item], bool]:
        """
        Read some items, in the table's own order, which stays when others come and go.

        Args:
            attributes: Attributes to read; others stay in the table.
            limit: Number of items.
            after: Key of the item before them; None to begin.

        Returns:
            At most ``limit`` items, and True if there are more.
        """
        items: list[Item] = []
        start = after
        while True:
            # One item more than wanted tells whether there is a next page; 1 MB of items ends a call earlier.
            arguments: Item = {**self._projection(*attributes), "Limit": limit + 1 - len(items)}
            if start is not None:
                arguments["ExclusiveStartKey"] = self._item(start)["Key"]
            answer = client().scan(**arguments)
            items += [item for item in map(_plain, answer["Items"]) if item is not None]
            if len(items) > limit or "LastEvaluatedKey" not in answer:
                return items[:limit], len(items) > limit
            start = _deserialize(answer["LastEvaluatedKey"][self._key])

    def to_get(self, key: str, *attributes: str) -> Item:
        """
        Return the arguments of a read, for ``get_together``.

        Args:
            key: The item's key.
            attributes: Attributes to read.
        """
        return {**self._item(key), **self._projection(*attributes)}

    def to_check(self, key: str, *, condition: str, **values: Any) -> Item:
        """
        Return the arguments of a condition that writes nothing, for ``write_together``.

        Args:
            key: The item's key.
            condition: Expression that must hold for the item as it is.
            values: Values of the condition.
        """
        return {"ConditionCheck": {**self._item(key), **_expressions(condition=condition, **values)}}

    def to_update(self, key: str, update: str, *, condition: str, **values: Any) -> Item:
        """
        Return the arguments of an update.

        Args:
            key: The item's key.
            update: Update expression.
            condition: Expression that must hold for the item as it is.
            values: Values of both expressions.
        """
        return {**self._item(key), **_expressions(update=update, condition=condition, **values)}

    def _item(self, key: str) -> Item:
        return {"TableName": self.name, "Key": {self._key: {"S": key}}}

    def _projection(self, *attributes: str) -> Item:
        projection = ", ".join(f"#{name}" for name in attributes)
        return {"TableName": self.name, **_expressions(projection=projection)}


def get_together(*reads: Item) -> list[Item | None]:
    """
    Read items of any tables, all as they are at one moment.

    Args:
        reads: Arguments from ``Table.to_get``.

    Returns:
        An item for each, None where there is none.
    """
    answer = _call("transact_get_items", TransactItems=[{"Get": read} for read in reads])
    return [_plain(one.get("Item")) for one in answer["Responses"]]


def write_together(*writes: Item) -> None:
    """
    Do all writes, or none.

    Args:
        writes: ``{"Update": …}`` with arguments from ``Table.to_update``, or those from ``Table.to_check``.

    Raises:
        TransactionFailed: A condition does not hold.
    """
    try:
        _call("transact_write_items", TransactItems=list(writes))
    except client().exceptions.TransactionCanceledException as exc:
        if _is_conflict(exc):
            raise
        raise TransactionFailed([one["Code"] for one in exc.response["CancellationReasons"]]) from exc


def _write(operation: str, arguments: Item, *, return_old: bool = True) -> Item:
    if return_old and "ConditionExpression" in arguments:
        arguments = {**arguments, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    try:
        return _call(operation, **arguments)
    except client().exceptions.ConditionalCheckFailedException as exc:
        raise ConditionFailed(_plain(exc.response.get("Item"))) from exc


def _call(operation: str, **arguments: Any) -> Item:
    """Call DynamoDB, again if a transaction on one of the items was under way: boto3 takes that for final."""
    for most_seconds in CONFLICT_PAUSES:
        try:
            answer: Item = getattr(client(), operation)(**arguments)
        except ClientError as exc:
            if not _is_conflict(exc):
                raise
        else:
            return answer
        time.sleep(_RANDOM.uniform(0, most_seconds))
    last: Item = getattr(client(), operation)(**arguments)
    return last


def _is_conflict(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    reasons = {reason["Code"] for reason in error.response.get("CancellationReasons", [])}
    return code == "TransactionConflictException" or (
        code == "TransactionCanceledException" and reasons <= {"None", "TransactionConflict"}
    )


def _expressions(
    *, projection: str | None = None, update: str | None = None, condition: str | None = None, **values: Any
) -> Item:
    """Return the arguments of expressions; none is empty, which DynamoDB refuses."""
    kinds = {"ProjectionExpression": projection, "UpdateExpression": update, "ConditionExpression": condition}
    arguments: Item = {kind: text for kind, text in kinds.items() if text}
    names = {f"#{name}": name for text in arguments.values() for name in _NAME.findall(text)}
    if names:
        arguments["ExpressionAttributeNames"] = names
    if values:
        arguments["ExpressionAttributeValues"] = {f":{name}": _serialize(value) for name, value in values.items()}
    return arguments


def _plain(item: Item | None) -> Item | None:
    if not item:
        return None
    return {name: _number(one["N"]) if "N" in one else _deserialize(one) for name, one in item.items()}


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
