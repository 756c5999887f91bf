"""
A release of the shop: one commit's images, functions and pages, rolled out, asked, and taken back where they fail.

The stage Build has left them: images in ECR, tagged by the commit; zips in the releases' bucket, in its folder.
"""

import argparse
import os
import re
import sys
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from microservices.deploy import smoke
from microservices.deploy.rollout import Containers, Functions, Patience, ReleaseFailed, Site, Target, find_release
from microservices.local.words import say

FAILURES = (BotoCoreError, ClientError, ReleaseFailed, smoke.SmokeFailed)


def release(target: Target, commit: str, *, migrate: bool = True, patience: Patience | None = None) -> None:
    """
    Roll a commit out; what does not work is taken back.

    Args:
        target: The place.
        commit: The commit, 40 hex digits.
        migrate: Brings the schemas up to date first; a commit from before the last migration must not.
        patience: Times that it waits.

    Raises:
        ReleaseFailed: A zip is missing, or something did not get well.
        SmokeFailed: It got well, and answers otherwise than it should.
        ClientError: An image is missing, or AWS has refused a call.
    """
    patience = patience or Patience()
    containers = Containers(target, patience)
    parts: tuple[Any, ...] = (containers, Functions(target, patience), Site(target))
    new = find_release(target, commit)
    noted = [(part, part.note()) for part in parts]
    if migrate:
        containers.migrate(new)  # by itself: a schema suits the release before it, and stays
    try:
        for part in parts:
            part.roll_out(new)
        smoke.check(target.url)
    except BaseException:  # also a person's Ctrl-C: half of a release is none
        go_back(noted)
        raise


def go_back(noted: list[tuple[Any, Any]]) -> None:
    """
    Take every part back to what was noted, the last one first.

    Args:
        noted: Parts and their notes.
    """
    say("It does not work: back to what ran before")
    for part, was in reversed(noted):
        try:
            part.go_back(was)
        except FAILURES as error:
            say(
                f"The roll back of {part.name} has failed as well: {error}\nmicroservices/docs/deployment.md, Roll back"
            )


def main() -> None:
    """Release the commit that is named; the exit status is 1 where it was taken back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="the commit, 40 hex digits; the pipeline has built it")
    parser.add_argument("--without-migrations", action="store_true", help="for a commit from before the last migration")
    options = parser.parse_args()
    if not re.fullmatch("[0-9a-f]{40}", options.commit):
        parser.error("commit: must be 40 hex digits")
    try:
        target = Target.read(os.environ.get("RELEASE_TARGET", ""))
        release(target, options.commit, migrate=not options.without_migrations)
    except FAILURES as error:
        sys.exit(str(error))
    say(f"{target.url} is {options.commit}")


if __name__ == "__main__":
    main()
