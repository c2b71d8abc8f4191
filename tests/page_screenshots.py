"""Pictures of the hub's page for the documents: a real hub, a real sign-in at a stand-in for GitHub, a real Chromium.

python tests/page_screenshots.py docs/screenshots
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gui.hub import Hub, HubOptions
from gui.hub.signin.provider import SignInOptions
from gui.statuspage.render import all_runs, fragments
from tests.chromium import Chromium
from tests.gui.hub.conftest import MemoryStore
from tests.gui.statuspage.story import STATUS
from tests.standins import GitHubStandIn, User

SHOTS = (
    ("page-dark", 1440, 900, True, False),
    ("page-light", 1440, 900, False, False),
    ("page-phone-dark", 390, 844, True, True),
    ("page-phone-light", 390, 844, False, True),
    ("page-wall-dark", 1920, 1080, True, False),
)


async def take(directory: Path) -> None:
    """All pictures, and what the console complained of."""
    with GitHubStandIn(person=User("ada", 7)).running() as github, tempfile.TemporaryDirectory() as own:
        options = HubOptions(Path(own), host="127.0.0.1", port=0, public="127.0.0.1", version="0.1.0")
        async with Hub(MemoryStore(), options) as hub, Chromium(hub.pin) as chromium:
            await hub.people.use(
                SignInOptions("github", github.client, github.secret, observers=("ada",), github=github.address)
            )
            hub.board.publish({**fragments(STATUS), "runs": all_runs(STATUS)})
            address = hub.local_address.replace("wss", "https")
            for name, width, height, dark, phone in SHOTS:
                page = await chromium.page(width, height, dark=dark, phone=phone)
                await page.go(f"{address}/")
                if name == SHOTS[0][0]:
                    await page.screenshot(directory / "page-sign-in-dark.png")
                    await page.click("a.button")
                await page.until("document.getElementById('live')?.className === 'live ok'")
                await page.run("document.fonts.ready.then(() => true)")
                await asyncio.sleep(0.6)
                await page.screenshot(directory / f"{name}.png", whole=phone)
                for complaint in page.complaints:
                    print(f"{name}: {complaint}", file=sys.stderr)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(target))
