"""`slimlab lab`: JupyterLab opens on the quickstart, asks nothing, and is open to nobody else."""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit

from family import listened_at
from playwright.sync_api import expect

LOOPBACK = {"127.0.0.1", "::1"}


def test_the_printed_address_opens_the_quickstart(lab, server):
    lab.page.goto(server.printed)
    expect(lab.page.locator(".jp-Notebook")).to_be_visible(timeout=60_000)
    expect(lab.page.get_by_role("tab", name="01_quickstart.ipynb")).to_be_visible()
    assert urlsplit(lab.page.url).path.endswith("/tree/01_quickstart.ipynb")


def test_no_news_no_dialog_no_request_that_leaves_the_machine(lab):
    lab.open_cells(["1 + 1"])
    lab.run_all(wait=True, seconds=300)
    asked = lab.page.evaluate(
        """() => window.jupyterapp.serviceManager.settings
            .fetch('@jupyterlab/apputils-extension:notification')
            .then((found) => found.schema.properties)"""
    )
    assert asked["fetchNews"]["default"] == "false"
    assert asked["checkForUpdates"]["default"] is False
    lab.page.wait_for_load_state("networkidle")
    assert lab.page.locator(".jp-Dialog").count() == 0
    assert lab.page.locator(".jp-toastContainer, .Toastify__toast").count() == 0
    outside = [
        line for line in lab.requests if urlsplit(line.split()[1]).hostname not in LOOPBACK | {None}
    ]
    assert outside == []


def test_a_cell_runs_with_the_packages_of_this_environment(lab):
    import sys

    lab.open_cells(["import sys, slimlab, slimlab_widgets", "print('python is', sys.prefix)"])
    lab.run_all(wait=True)
    expect(lab.page.get_by_text(f"python is {sys.prefix}", exact=True)).to_be_visible()


def test_a_widget_is_drawn_and_saved_with_the_notebook(lab):
    path = lab.open_cells(["import ipywidgets\nipywidgets.Button(description='Press me')"])
    lab.run_all(wait=True)
    expect(lab.page.get_by_role("button", name="Press me")).to_be_visible()
    lab.save()
    assert "application/vnd.jupyter.widget-state+json" in path.read_text(encoding="utf-8")


def test_listens_on_this_machine_only(server):
    addresses = listened_at(server.process.pid)
    assert addresses
    assert addresses <= LOOPBACK


def test_refuses_without_the_token(server):
    assert server.request("/api/contents")[0] == 200
    assert server.request("/api/contents", token=False)[0] == 403
    _, _, landed = server.request("/lab", token=False)
    assert urlsplit(landed).path == "/login"
    with urllib.request.urlopen(server.printed, timeout=10) as answer:
        assert answer.status == 200


def test_the_notebooks_were_copied_to_the_work_folder(server, root):
    for notebook in (root / "notebooks").glob("*.ipynb"):
        assert (server.work / notebook.name).is_file()
