"""Top floor. Each click is carried out once: what a page sends again is told from what is new.

Knows numbers, and where Jupyter's messages go; nothing of what they say.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any


class Inbox:
    """Lets the numbered messages of each sender through once and in their order.

    A sender counts its messages from 1 and sends again what was not answered. So a message that
    was heard before is passed over, and so is one that comes before its forerunner, which was lost.

    Examples
    --------
    >>> from slimlab_widgets.inbox import Inbox
    >>> inbox = Inbox()
    >>> [inbox.takes("page", number) for number in (1, 1, 3, 2, 3)]
    [True, False, False, True, True]
    >>> inbox.heard("page"), inbox.takes("other page", 1)
    (3, True)
    """

    def __init__(self) -> None:
        self._heard: dict[str, int] = {}
        self._lock = threading.Lock()

    def takes(self, sender: str, number: int) -> bool:
        """Whether this message is the next of its sender; from now on it was heard."""
        with self._lock:
            if number != self._heard.get(sender, 0) + 1:
                return False
            self._heard[sender] = number
            return True

    def heard(self, sender: str) -> int:
        """The number of the last message that was taken, 0 before the first."""
        with self._lock:
            return self._heard.get(sender, 0)


def post_of(content: Mapping[str, Any]) -> tuple[str, int] | None:
    """Sender and number of a message; None for one that may get lost.

    Examples
    --------
    >>> from slimlab_widgets.inbox import post_of
    >>> post_of({"event": "stop", "post": ["page", 3]})
    ('page', 3)
    >>> post_of({"event": "touch"}) is None
    True
    """
    post = content.get("post")
    if not isinstance(post, (list, tuple)) or len(post) != 2:
        return None
    sender, number = post
    if not isinstance(sender, str) or not isinstance(number, int):
        return None
    return sender, number


def heed_addresses(comm: Any) -> None:
    """Have the page's messages handled where the page sends them.

    JupyterLab sends them to a subshell of the kernel. ipykernel 7.4 hands them to another one: the
    one whose request was the parent of the comm's last message. For a message of a job's thread
    that is whatever the kernel was asked last, by whomever, such as the short subshell in which
    JupyterLab asks for all widgets after a lost connection. That one is gone a moment later, and
    the click with it. Other versions have no such rule, and are left alone.

    Parameters
    ----------
    comm
        The widget's; None or a dummy outside of a kernel.
    """
    if not hasattr(comm, "_reply_subshell_for"):
        return

    def route(_data: object, asked: str | None) -> str | None:
        return asked if _is_alive(comm, asked) else None

    with contextlib.suppress(AttributeError):
        comm._reply_subshell_for = route


def _is_alive(comm: Any, subshell: str | None) -> bool:
    try:
        return subshell in comm.kernel.shell_channel_thread.manager.list_subshell()
    except AttributeError:  # another version: the kernel says itself what it does not know
        return True
