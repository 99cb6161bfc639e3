"""The notebook that app mode shows: one cell, in sight, never overwritten."""

from __future__ import annotations

import nbformat

import slimlab as sl
from slimlab_widgets.app import Subject, notebook, options


def test_the_notebook_is_valid_has_one_cell_and_no_hidden_name(tmp_path):
    path = notebook(tmp_path / "deep" / "work", Subject("vgg", "digits"))
    content = nbformat.read(path, as_version=4)
    nbformat.validate(content)
    assert [cell.source for cell in content.cells] == [Subject("vgg", "digits").cell()]
    assert [p.name for p in path.parent.iterdir()] == ["app-vgg-digits.ipynb"]


def test_a_changed_notebook_is_used_and_a_strange_one_left_alone(tmp_path):
    subject = Subject("vgg", "digits")
    path = notebook(tmp_path, subject)
    mine = path.read_text().replace("slw.Workbench(model, task)", "slw.Workbench(model, task) # !")
    path.write_text(mine)
    assert notebook(tmp_path, subject) == path
    assert path.read_text() == mine
    path.write_text("not a notebook at all")
    second = notebook(tmp_path, subject)
    assert second.name == "app-vgg-digits-2.ipynb"
    assert notebook(tmp_path, subject) == second
    assert path.read_text() == "not a notebook at all"


def test_folders_of_the_same_name_get_notebooks_of_their_own(tmp_path, monkeypatch, vgg):
    monkeypatch.chdir(tmp_path)
    for run in ("one", "two"):
        sl.save(vgg, tmp_path / run / "model")
    first, second = (
        notebook(tmp_path / "work", Subject(f"{run}/model", "digits")) for run in ("one", "two")
    )
    assert first != second
    # The page runs elsewhere: a relative folder would not be found there.
    assert str(tmp_path / "one" / "model") in first.read_text()


def test_the_cell_gives_a_workbench_on_that_model():
    names: dict = {}
    *lines, last = Subject("vgg", "digits").cell().splitlines()
    exec("\n".join(lines), names)
    bench = eval(last, names)
    assert bench.heading_view["model"] == "VGG"


def test_listens_here_and_asks_for_the_token():
    voila = options("secret")["Voila"]
    assert (voila["ip"], voila["token"], voila["auto_token"]) == ("127.0.0.1", "secret", True)
