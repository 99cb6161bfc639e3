"""A notebook that is exported to HTML shows the last picture, and asks nobody for scripts."""

from __future__ import annotations

import base64

import nbformat
from nbconvert import HTMLExporter
from traitlets.config import PyFileConfigLoader

from slimlab_widgets.lab import CONFIG


def notebook_of(bench) -> nbformat.NotebookNode:
    """A saved notebook with the bench as its only output, and the state of the widget."""
    data, metadata = bench._bundle()
    view = {"version_major": 2, "version_minor": 0, "model_id": bench.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, **data}
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("bench", outputs=[output])
    state = {"version_major": 2, "version_minor": 0, "state": {bench.model_id: {}}}
    widgets = {"application/vnd.jupyter.widget-state+json": state}
    return nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": widgets})


def test_the_last_picture_is_in_the_exported_page(scanned):
    scanned.pick_uniform(0.5)
    notebook = notebook_of(scanned)
    config = PyFileConfigLoader("jupyter_nbconvert_config.py", str(CONFIG)).load_config()
    page, _ = HTMLExporter(config=config).from_notebook_node(notebook)
    picture = notebook.cells[0].outputs[0].data["image/png"]
    assert base64.b64decode(picture)[:4] == b"\x89PNG"
    assert picture[:200] in page.replace("\n", "")
    assert '<script type="application/vnd.jupyter.widget-view+json">' not in page


def test_the_server_reads_the_same(scanned):
    config = PyFileConfigLoader("jupyter_server_config.py", str(CONFIG)).load_config()
    assert "image/png" in config.NbConvertBase.display_data_priority
    assert not any("widget" in kind for kind in config.NbConvertBase.display_data_priority)
