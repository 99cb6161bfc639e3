"""Top floor. What all widgets share: the one browser bundle, events, a picture for later.

A widget publishes small JSON values as traits, which only Python writes, and gets events from the
browser as messages, which only the browser sends. So no value has two writers. The messages are
numbered, and the browser is told how far they were heard: what got lost comes again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from slimlab.errors import SlimLabError
from slimlab_widgets.inbox import Inbox, heed_addresses, post_of
from slimlab_widgets.jobs import last_line
from slimlab_widgets.pictures import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STATIC = Path(__file__).parent / "static"


class Panel(anywidget.AnyWidget):
    """Base of the SlimLab widgets.

    Events of the browser arrive in a thread of Jupyter's, so what handles them must return at once.
    An exception there would be seen by nobody: `on_error` gets it.
    """

    _esm = _STATIC / "slim.js"
    _css = _STATIC / "slim-style.css"

    kind = traitlets.Unicode("").tag(sync=True)
    # Under this name the browser remembers the open tab, the selection and the focus.
    key = traitlets.Unicode("").tag(sync=True)
    heading_view = traitlets.Dict().tag(sync=True)
    graph_view = traitlets.Dict().tag(sync=True)
    curves_view = traitlets.Dict().tag(sync=True)
    exports_view = traitlets.Dict().tag(sync=True)
    times_view = traitlets.Dict().tag(sync=True)
    budget_view = traitlets.Dict().tag(sync=True)
    offer_view = traitlets.Dict().tag(sync=True)
    quant_view = traitlets.Dict().tag(sync=True)
    pairs_view = traitlets.Dict().tag(sync=True)
    picks_view = traitlets.Dict().tag(sync=True)
    picked_view = traitlets.Dict().tag(sync=True)
    settings_view = traitlets.Dict().tag(sync=True)
    job_view = traitlets.Dict().tag(sync=True)
    candidates_view = traitlets.Dict().tag(sync=True)
    run_view = traitlets.Dict().tag(sync=True)
    script_view = traitlets.Dict().tag(sync=True)
    comparison_view = traitlets.Dict().tag(sync=True)

    def __init__(self, **values: Any) -> None:
        super().__init__(key=uuid.uuid4().hex, **values)
        self._display: Any = None
        self._inbox = Inbox()
        heed_addresses(self.comm)
        self.on_msg(self._receive)

    def handle(self, event: str, facts: Mapping[str, Any]) -> None:
        """Carry out an event of the browser. Widgets that can be changed override this."""

    def on_error(self, error: Exception) -> None:
        """Show an error of `handle` under the widget."""
        message = str(error) if isinstance(error, SlimLabError) else last_line(error)
        self.job_view = {"status": "error", "message": message}

    def figures(self) -> list[Figure]:
        """Pictures of the present state, for a notebook that is opened without a kernel."""
        raise NotImplementedError

    def summary(self) -> str:
        """The present state in words."""
        raise NotImplementedError

    def refresh_static(self, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Replace the picture that the notebook keeps by one of the present state.

        JupyterLab draws the view anew on this, so it is called at the end of work, not during it.

        Parameters
        ----------
        wanted
            Asked once the picture is drawn, which takes a while: False leaves the old one.

        Returns
        -------
        bool
            What was answered.
        """
        if self._display is None:
            return True
        data, metadata = self._bundle()
        if not wanted():
            return False
        self._display.update(data, raw=True, metadata=metadata)
        return True

    def _receive(self, _widget: object, content: Any, _buffers: object) -> None:
        if not isinstance(content, Mapping) or "event" not in content:
            return
        post = post_of(content)
        if post is not None:
            is_new = self._inbox.takes(*post)
            self.send({"heard": [post[0], self._inbox.heard(post[0])]})
            if not is_new:
                return
        facts = {key: value for key, value in content.items() if key not in {"event", "post"}}
        try:
            self.handle(str(content["event"]), facts)
        except Exception as error:
            self.on_error(error)

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        figures = self.figures()
        data = {**data, "text/plain": self.summary()}
        if figures:
            data["image/png"] = png(figures)
            metadata = {**metadata, "image/png": {"alt": self.summary()}}
        return data, dict(metadata)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._bundle()

    def _ipython_display_(self) -> None:
        # Only output that was shown with an identity can be given a newer picture later.
        from IPython.display import display

        data, metadata = self._bundle()
        self._display = display(data, raw=True, metadata=metadata, display_id=True)

    def __repr__(self) -> str:
        return self.summary()
