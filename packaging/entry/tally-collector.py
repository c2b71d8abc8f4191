"""Entry point of the frozen `tally-collector`."""

import multiprocessing
import sys

from collector.cli import main

if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
