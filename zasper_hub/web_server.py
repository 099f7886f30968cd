"""`python -m zasper_hub.web_server`: Daphne as the hub runs it; its command line is Daphne's own.

Its event loop is uvloop's where that is installed: half of what a small message costs is the loop's bookkeeping.
What was loaded until the application is there stays for good, so the garbage collector need not look at it again.
"""

from __future__ import annotations

import asyncio
from typing import Any

from kernels_app.bus.garbage import settle_memory


def main() -> None:
    """Returns when the server was told to stop."""
    use_uvloop()
    # Only now: Daphne takes its event loop when it is imported.
    from daphne.cli import CommandLineInterface

    class Interface(CommandLineInterface):  # type: ignore[misc]  # Daphne has no types
        """Makes its server when the application is loaded, before the first connection."""

        def server_class(self, **options: Any) -> Any:
            # Only now: it needs Django's settings.
            from zasper_hub.daphne_bodies import bound_bodies

            bound_bodies()
            settle_memory()
            return CommandLineInterface.server_class(**options)

    Interface.entrypoint()


def use_uvloop() -> None:
    """For loops that are made from now on."""
    try:
        import uvloop
    except ImportError:
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


if __name__ == "__main__":
    main()
