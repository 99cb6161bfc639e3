"""Start JupyterLab on SlimLab's notebooks. Knows Jupyter's options; knows nothing of models.

JupyterLab gets a configuration path of its own, so that it opens without news, update checks or
questions, while the settings of the user's other JupyterLab are left as they are. It listens on
this machine only and keeps its token. The notebooks are copied to a work folder, where a file that
is there already is never overwritten.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

CONFIG = Path(__file__).parent / "jupyter_config"
FIRST_NOTEBOOK = "01_quickstart.ipynb"
REMARKS = ("ignore:No ccache found", "ignore:When training")


def shipped_notebooks() -> Path:
    """Give the folder of the notebooks that ship: the clone's, or the installed copy.

    Raises
    ------
    FileNotFoundError
        When neither is there.
    """
    clone = Path(__file__).resolve().parents[2] / "notebooks"
    installed = Path(sys.prefix) / "share" / "slimlab" / "notebooks"
    for folder in (clone, installed):
        if (folder / FIRST_NOTEBOOK).is_file():
            return folder
    msg = f"No {FIRST_NOTEBOOK} in {clone} or {installed}: install slimlab again."
    raise FileNotFoundError(msg)


def copy_notebooks(source: Path, work: Path) -> list[Path]:
    """Copy the notebooks that the work folder does not have yet.

    Parameters
    ----------
    source
        Folder of the shipped notebooks.
    work
        Folder to work in; made where it is missing.

    Returns
    -------
    list of Path
        The files that were copied. One that exists is never overwritten.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from slimlab_widgets.lab import copy_notebooks
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "shipped").mkdir()
    >>> _ = (folder / "shipped" / "01.ipynb").write_text("{}")
    >>> [copy.name for copy in copy_notebooks(folder / "shipped", folder / "work")]
    ['01.ipynb']
    >>> copy_notebooks(folder / "shipped", folder / "work")
    []
    """
    work.mkdir(parents=True, exist_ok=True)
    copied = []
    for notebook in sorted(source.glob("*.ipynb")):
        target = work / notebook.name
        if not target.exists():
            # Another name first: an interrupted copy must not pass for the user's own file.
            partial = work / f".{notebook.name}.partial"
            shutil.copyfile(notebook, partial)
            partial.replace(target)
            copied.append(target)
    return copied


def server_options(work: Path, notebook: str = FIRST_NOTEBOOK) -> list[str]:
    """Give the options that `slimlab lab` starts JupyterLab with; later ones override them."""
    options = [
        f"--ServerApp.root_dir={work}",
        "--ServerApp.ip=127.0.0.1",
        f"--LabApp.default_url=/lab/tree/{notebook}",
        # Tabs of the user's other JupyterLab would be reopened here, where their files are not.
        f"--LabApp.workspaces_dir={work / '.slimlab' / 'workspaces'}",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # In a container everyone is root; the server is reached from this machine only.
        options.append("--ServerApp.allow_root=True")
    return options


def environment(old: dict[str, str]) -> dict[str, str]:
    """Give the environment with our configuration before the user's, and a quieter Paddle.

    Paddle writes remarks about its own inside to stderr, which a notebook shows as red boxes: while
    tracing an addition, on import where ccache is missing, in each training with BatchNorm. Errors
    are still shown.
    """
    path = [str(CONFIG), *filter(None, [old.get("JUPYTER_CONFIG_PATH")])]
    warnings = [*filter(None, [old.get("PYTHONWARNINGS")]), *REMARKS]
    return {
        "GLOG_minloglevel": "2",
        **old,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(path),
        "PYTHONWARNINGS": ",".join(warnings),
    }


def launch(work: Path, arguments: Sequence[str] = ()) -> None:
    """Copy the notebooks and run JupyterLab until it is stopped.

    Parameters
    ----------
    work
        Folder to work in.
    arguments
        Further options for JupyterLab, such as `--no-browser` or `--port=9999`.
    """
    from jupyterlab.labapp import LabApp  # slow, and only needed here

    work = work.expanduser().resolve()
    copy_notebooks(shipped_notebooks(), work)
    os.environ.update(environment(dict(os.environ)))
    LabApp.launch_instance([*server_options(work), *arguments])
