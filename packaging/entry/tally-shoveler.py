"""Entry point of the frozen `tally-shoveler`."""

from start import start

from shoveler.cli import main

if __name__ == "__main__":
    start(main)
