"""The `slimlab` command: help, version, and what `slimlab lab` hands over."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slimlab import cli
from slimlab_widgets import app, lab


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"slimlab {importlib.metadata.version('slimlab')}\n"


def test_help_names_the_commands_and_shows_examples(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert "open JupyterLab on the quickstart" in text
    assert "slimlab lab --no-browser --port 9999" in text
    assert "carry a recipe out" in text


def test_no_command_shows_the_help(capsys):
    assert cli.main([]) == 2
    assert "usage: slimlab" in capsys.readouterr().out


def test_unknown_command_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["labb"])
    assert stop.value.code == 2
    assert "'lab'" in capsys.readouterr().err


@pytest.fixture
def launched(monkeypatch) -> list:
    """Record what would be launched."""
    calls: list = []
    monkeypatch.setattr(lab, "launch", lambda *arguments: calls.append(arguments))
    return calls


def test_lab_passes_jupyter_options_on(launched, tmp_path):
    arguments = ["lab", "--work", str(tmp_path), "--no-browser", "--port", "9999"]
    assert cli.main(arguments) == 0
    assert launched == [(tmp_path, ["--no-browser", "--port", "9999"])]


def test_app_passes_model_task_and_voilas_options_on(monkeypatch, tmp_path):
    calls: list = []
    monkeypatch.setattr(app, "launch", lambda *arguments: calls.append(arguments))
    arguments = ["app", "--model", "vgg", "--task", "digits", "--work", str(tmp_path)]
    assert cli.main([*arguments, "--port", "9999", "--theme=dark"]) == 0
    assert calls == [(tmp_path, app.Subject("vgg", "digits"), ["--port", "9999", "--theme=dark"])]


def test_app_refuses_an_unknown_model_before_it_opens_a_page(monkeypatch, capsys):
    monkeypatch.setattr(app, "launch", lambda *arguments: pytest.fail("a page was opened"))
    assert cli.main(["app", "--model", "vgq", "--task", "digits"]) == 1
    assert "vgg" in capsys.readouterr().err


def test_app_without_voila_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "voila", None)
    assert cli.main(["app"]) == 1
    assert "`slimlab app` needs voila" in capsys.readouterr().err


def test_lab_without_jupyter_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert cli.main(["lab"]) == 1
    error = capsys.readouterr().err
    assert "jupyterlab" in error
    assert "pip install 'slimlab[widgets]'" in error


def test_notebooks_are_copied_once_and_never_overwritten(tmp_path):
    source, work = tmp_path / "shipped", tmp_path / "deep" / "work"
    source.mkdir()
    (source / "01.ipynb").write_text("first")
    assert lab.copy_notebooks(source, work) == [work / "01.ipynb"]
    (work / "01.ipynb").write_text("mine")
    (source / "02.ipynb").write_text("second")
    assert lab.copy_notebooks(source, work) == [work / "02.ipynb"]
    assert (work / "01.ipynb").read_text() == "mine"
    assert sorted(path.name for path in work.iterdir()) == ["01.ipynb", "02.ipynb"]


def test_lab_keeps_the_token_and_listens_on_this_machine(tmp_path):
    options = lab.server_options(tmp_path)
    assert "--ServerApp.ip=127.0.0.1" in options
    assert not any(".token" in option for option in options)


def test_the_users_own_configuration_comes_after_ours():
    path = lab.environment({"JUPYTER_CONFIG_PATH": "/theirs"})["JUPYTER_CONFIG_PATH"]
    assert path.split(os.pathsep) == [str(lab.CONFIG), "/theirs"]
    assert lab.environment({})["JUPYTER_CONFIG_PATH"] == str(lab.CONFIG)


def test_kernels_are_spared_paddles_remarks_unless_the_user_asks_for_them():
    quiet = lab.environment({"PYTHONWARNINGS": "error"})
    assert quiet["GLOG_minloglevel"] == "2"
    assert quiet["PYTHONWARNINGS"] == "error,ignore:No ccache found,ignore:When training"
    assert lab.environment({"GLOG_minloglevel": "0"})["GLOG_minloglevel"] == "0"


def test_the_installed_command_is_there():
    command = Path(sys.executable).with_name("slimlab")
    if not command.is_file():
        pytest.skip("slimlab is not installed into this Python; it is only on its path")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("slimlab ")
