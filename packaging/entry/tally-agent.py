"""Entry point of the frozen `tally-agent`."""

from start import start

from agent.cli import main

if __name__ == "__main__":
    start(main)
