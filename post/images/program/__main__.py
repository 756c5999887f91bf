"""The program that cleans an image. Isolated, Python finds the service's modules only where it is told."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from post.images.program.clean import main

if __name__ == "__main__":
    main()
