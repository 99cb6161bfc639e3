"""Start the workbench as a page without code cells. Knows Voila's options; knows no model.

Voila runs a notebook of one cell and shows what it gives. The notebook lies in the work folder,
where it can be read and changed; one that is there already is never overwritten. The page is for
this machine only, needs the token that is printed, and may ask no other machine for anything. All
tabs show one bench (`pages`).
"""

from __future__ import annotations

import json
import logging
import os
import re
import runpy
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slimlab_widgets.lab import CONFIG, environment

# Voila's template asks a public server for icons: the browser is told not to.
POLICY = "; ".join(
    [
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
        "style-src 'self' 'unsafe-inline'",
        "frame-ancestors 'self'",
    ]
)


@dataclass(frozen=True)
class Subject:
    """What is on the bench.

    Attributes
    ----------
    model
        A network of the zoo, or the folder of a saved model.
    task
        A built-in task, or a folder of images.
    size
        Height and width that images of a folder are resized to, pixels.
    """

    model: str
    task: str
    size: int = 224

    @property
    def name(self) -> str:
        """A word for files.

        Examples
        --------
        >>> from slimlab_widgets.app import Subject
        >>> Subject("resnet20", "digits").name
        'resnet20-digits'
        """
        words = (
            re.sub(r"\W+", "-", Path(word).name).strip("-") for word in (self.model, self.task)
        )
        return "-".join(words)

    def cell(self) -> str:
        """The cell that puts it on the bench.

        Examples
        --------
        >>> from slimlab_widgets.app import Subject
        >>> print(Subject("resnet20", "digits").cell())
        import slimlab as sl
        import slimlab_widgets as slw
        <BLANKLINE>
        task = sl.load_task('digits')
        model = sl.load_model('resnet20', task)
        slw.Workbench(model, task)
        """
        task, model = f"sl.load_task({self.task!r})", f"sl.load_model({self.model!r}, task)"
        if Path(self.task).is_dir():
            task = f"sl.image_folder({str(Path(self.task).resolve())!r}, size={self.size})"
        if Path(self.model).is_dir():
            model = f"sl.load({str(Path(self.model).resolve())!r})"
        return (
            "import slimlab as sl\nimport slimlab_widgets as slw\n\n"
            f"task = {task}\nmodel = {model}\nslw.Workbench(model, task)"
        )


def notebook(work: Path, subject: Subject) -> Path:
    """Find the notebook of a subject in the work folder, or write it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from slimlab_widgets.app import Subject, notebook
    >>> work = Path(tempfile.mkdtemp())
    >>> notebook(work, Subject("vgg", "digits")).name
    'app-vgg-digits.ipynb'
    """
    work.mkdir(parents=True, exist_ok=True)
    number, path = 1, work / f"app-{subject.name}.ipynb"
    while path.exists():
        # Whatever else is in it now: it was made for this, so it is the one that is meant.
        if _made_for(path) == asdict(subject):
            return path
        number, path = number + 1, work / f"app-{subject.name}-{number + 1}.ipynb"
    partial = work / f".{path.name}.partial"
    partial.write_text(json.dumps(_content(subject), indent=1), encoding="utf-8")
    partial.replace(path)
    return path


def options(token: str) -> dict[str, Any]:
    """What Voila is configured with; the command line overrides it."""
    return {
        # A token in a command line could be read by other users of this machine.
        "Voila": {
            "ip": "127.0.0.1",
            "token": token,
            "auto_token": True,
            "log_level": "WARN",
            "tornado_settings": {"headers": {"Content-Security-Policy": POLICY}},
        },
        # Voila gives the folder's pictures to anyone, without asking for the token.
        "VoilaConfiguration": {"show_tracebacks": True, "file_allowlist": []},
        # A page that comes back asks for the state; nobody reads what was said meanwhile.
        "MappingKernelManager": {"buffer_offline_messages": False},
    }


def launch(work: Path, subject: Subject, arguments: Sequence[str] = ()) -> None:
    """Show the workbench until it is stopped.

    Parameters
    ----------
    work
        Folder to work in: the notebook is written there, and what the workbench saves.
    subject
        What is on the bench.
    arguments
        Further options for Voila, such as `--no-browser`, `--port=9999` or `--theme=dark`.
    """
    from tornado.ioloop import IOLoop
    from traitlets.config import Config
    from voila.app import Voila

    from slimlab_widgets.pages import shared  # needs Voila, which is slow to import

    class App(Voila):  # type: ignore[misc, unused-ignore]
        """Voila, which says where it is once it listens there."""

        def init_handlers(self) -> list[Any]:
            """One kernel for all pages."""
            return shared(super().init_handlers())

        @property
        def connection_url(self) -> str:
            """The address with the token, without which the browser would be asked for it."""
            return f"{super().connection_url}?token={self.token}"

        def launch_browser(self) -> None:
            """Open the address itself; Voila goes by way of a file, and loses the token."""
            import webbrowser

            webbrowser.open(self.connection_url, new=self.webbrowser_open_new)

        def listen(self) -> None:
            """Tell the address when the loop begins: the port is known by then."""
            IOLoop.current().add_callback(self.tell)
            super().listen()

        def tell(self) -> None:
            """Write the address."""
            sys.stderr.write(f"SlimLab is at {self.connection_url}\nCtrl-C stops it.\n")

    path = notebook(work.expanduser().resolve(), subject)
    os.environ.update(environment(dict(os.environ)))
    runpy.run_path(str(CONFIG / "jupyter_server_config.py"))
    logging.getLogger("tornado.access").setLevel(logging.WARNING)  # it would write the token
    App.launch_instance([str(path), *arguments], config=Config(options(secrets.token_hex(24))))


def _content(subject: Subject) -> Mapping[str, Any]:
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "workbench",
        "metadata": {},
        "outputs": [],
        "source": subject.cell().splitlines(keepends=True),
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "slimlab": asdict(subject)}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _made_for(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["metadata"]["slimlab"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
