"""Fixtures of the platform's tests."""

import sys
from pathlib import Path

# The path root of the services' packages. Last, since this folder is named `tests` too.
sys.path.append(str(Path(__file__).parents[1]))
