"""The program that cleans an image. Python runs it isolated, so it adds the project's folder to its path."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from post.images.program.clean import main

if __name__ == "__main__":
    main()
