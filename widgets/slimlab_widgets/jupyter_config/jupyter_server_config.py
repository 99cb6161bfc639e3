"""Run by Jupyter when `slimlab lab` starts it: answers to a moved slider leave at once.

The server never switches off Nagle's algorithm on the kernel's websocket, which adds up to 50 ms to
every answer after the first. Nothing depends on this patch: where the server is made differently it
is left alone.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

try:
    from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

    _open = KernelWebsocketHandler.open

    async def _open_without_delay(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.set_nodelay(True)
        return await _open(self, *args, **kwargs)

    KernelWebsocketHandler.open = _open_without_delay
except (ImportError, AttributeError):
    logging.getLogger(__name__).debug("kernel websockets keep their delay", exc_info=True)

with contextlib.suppress(NameError):  # run by app mode, which has no such menu
    # Export as HTML, in the File menu, is done by the server: like nbconvert in a terminal.
    load_subconfig("jupyter_nbconvert_config.py", str(Path(__file__).parent))  # noqa: F821
