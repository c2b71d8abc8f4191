"""Entry point of the frozen `tally-collector`."""

from start import start

from collector.cli import main

if __name__ == "__main__":
    start(main)
