"""Measure the platform beside what bounds it: contenders on the same database, argon2, the stand-in, and itself."""

import argparse
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
# The services are packages of the folder above, and their statements are a contender's.
sys.path += [str(HERE.parent), str(HERE.parents[1])]

import accounts  # noqa: E402 - once the paths are set
import shop  # noqa: E402 - as above
import signals  # noqa: E402 - as above
from measuring import Row, running_platform  # noqa: E402 - as above


def measure(row: Row, rounds: int, seconds: float) -> bool:
    """
    Measure a row round by round, and print it.

    Args:
        row: The row.
        rounds: How often it is measured.
        seconds: How long one side takes.

    Returns:
        True if the median ratio reaches the bar.
    """
    with row.opened() as measured:
        measured(1)  # every process has started once, and imported what it needs
        found = [measured(seconds) for _ in range(rounds)]
    here, beside = (statistics.median(side) for side in zip(*found, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in found)
    sys.stdout.write(f"{row.name:13} {here:6.0f}  {beside:8.0f}  {ratio:5.2f}  {row.bar:4.2f}\n")
    sys.stdout.flush()
    return ratio >= row.bar


def main() -> int:
    """Measure the rows; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--only", default="", help="names of rows, with commas between them")
    options = parser.parse_args()
    with running_platform() as (port, state), ExitStack() as opened:
        platform = accounts.Platform(port)
        rows = [*accounts.rows(platform), *shop.Shop(port, state, platform.token).rows(), *signals.rows(opened)]
        wanted = options.only.split(",") if options.only else [row.name for row in rows]
        sys.stdout.write("row           here/s  beside/s  ratio   bar\n")
        reached = [measure(row, options.rounds, options.seconds) for row in rows if row.name in wanted]
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
