"""A report is one page with what the trials hold; it escapes every name and is written whole."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from tables import table, trial

import slimlab as sl
from slimlab.train import Record

HOSTILE = (
    "<script>window.pwned = 1</script>",
    '"><img src=http://example.invalid/x onerror=alert(1)>',
    "</style><style>* {display: none}",
    "{{ 7 * 7 }}{% raw %}",
    r"$\frac{$ & 网络 \x00 ' -->",
)


class Page(HTMLParser):
    """What a browser would make of a page: its tags, its text, the rows of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.tags[-1:] and self.tags[-1][0] in ("td", "th") and data.strip():
            self.rows[-1].append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def row(self, head: str) -> list[str]:
        return next(row for row in self.rows if row[0] == head)


@dataclass
class Checked:
    """Stands for the result of checking an export."""

    frame: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        return self.frame


def timed(one: sl.Trial, median: float, runtime: str = "paddle") -> sl.Trial:
    return replace(one, latency=sl.Latency(median, median - 1, median + 1, 30, 32, runtime))


def written(folder: Path, trials, **more) -> Page:
    path = sl.report(trials, folder / "report.html", **more)
    return Page(path.read_text(encoding="utf-8"))


def test_costs_are_what_the_trials_hold_with_the_shares_removed(tmp_path):
    whole = timed(trial("whole", 90.0, 2000, 8000), 10.0)
    small = timed(trial("small", 88.75, 500, 9000), 5.5)
    page = written(tmp_path, [whole, small])
    numbers = ["2,000", "10", "8,000", "10.00 (9.00 to 11.00)", "yes"]
    assert page.row("whole")[:4] == ["whole", "90.00", "–", "2,000"]
    assert page.row("whole")[4:] == numbers[1:]
    assert page.row("small") == [
        *("small", "88.75", "+1.25", "500 (−75.0 %)", "10 (+0.0 %)", "9,000 (+12.5 %)"),
        *("5.50 (4.50 to 6.50)", "yes"),
    ]
    assert "batches of 32 in paddle" in page.text


def test_what_was_not_measured_is_said_to_be_missing(tmp_path):
    half = written(tmp_path, [timed(trial("whole", 90, 20, 80), 9.0), trial("small", 80, 5, 8)])
    assert "not measured" in half.row("small")
    assert "against measured latency" not in half.text
    none = written(tmp_path, [trial("whole", 90, 20, 80)])
    assert "Latency" not in " ".join(none.text.split("Machine and versions")[0:2])
    assert "No check of an export was given" in none.text
    assert "Nobody wrote down how it was made." in none.text


def test_latencies_of_two_runtimes_are_told_apart(tmp_path):
    trials = [timed(trial("a", 90, 9, 9), 9), timed(trial("b", 90, 9, 9), 2, "openvino")]
    page = written(tmp_path, trials)
    assert "2.00 (1.00 to 3.00), batch 32, openvino" in page.row("b")


def test_accounts_histories_scans_and_exports_are_in_it(tmp_path):
    scan = table({"conv": [1.0, 30.0]}, (0.2, 0.4))
    trained = replace(
        trial("picked", 88, 10, 10),
        history=sl.History(
            (Record(0, 0.0, None, 0.1, 20.0), Record(9, 1.5, 0.3, 0.1, 88.0)),
        ),
    )
    account = sl.Account(
        ("Cut the wide layer.", "Trained it."),
        ratios={"conv": 0.4},
        recipe=sl.load_recipe("digits"),
        seconds=1234.4,
    )
    parity = Checked(pd.DataFrame({"check": ["top1"], "equal": [True], "difference": [1.5e-6]}))
    page = written(
        tmp_path,
        [trial("whole", 90, 20, 20), trained],
        accounts={"picked": account},
        sensitivity=scan,
        exports={"onnx-int8": parity},
        title="Digits & more",
    )
    assert page.text.count("Digits & more") == 2  # title and heading
    for words in ("Cut the wide layer.", "It took 1,234 seconds.", "strategy: prune", "onnx-int8"):
        assert words in page.text
    assert "Trained for 9 steps (1.5 epochs); top1 went from 20.00 to 88.00." in page.text
    assert page.row("top1") == ["top1", "yes", "1.5e-06"]
    assert ["conv", "0.4", "60", "30", "29", "31", "100", "yes"] in page.rows  # a cell of the scan
    assert ["conv", "0.4"] in page.rows  # the picked ratio
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 5  # two trade-offs, curves, ratios, training
    for one in images:
        kind, _, coded = one["src"].partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(coded)).tag.endswith("svg")
        assert one["alt"]


def test_widths_are_drawn_with_the_graph(tmp_path, vgg, vgg_graph):
    account = sl.Account(ratios=sl.uniform_ratios(vgg_graph, ratio=0.5))
    page = written(tmp_path, [trial("a", 90, 9, 9)], accounts={"a": account}, graph=vgg_graph)
    assert "Channels before and after pruning: a" in page.text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_and_never_obeyed(tmp_path, name):
    benign = {"title": "t", "sensitivity": table({"layer": [1.0]}, (0.5,))}
    harmless = written(tmp_path, [trial("name", 90, 9, 9)], **benign)
    page = written(
        tmp_path,
        [trial(name, 90, 9, 9)],
        title=name,
        accounts={name: sl.Account((name,), ratios={name: 0.5})},
        sensitivity=table({name: [1.0]}, (0.5,)),
        exports={name: Checked(pd.DataFrame({name: [name]}))},
    )
    assert page.text.count(name) >= 8
    kinds = {tag for tag, _ in page.tags}
    assert kinds - {tag for tag, _ in harmless.tags} <= {"ol", "li", "figure"}
    assert not kinds & {"script", "iframe", "object", "base", "link"}
    assert sum(tag == "style" for tag, _ in page.tags) == 1
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")]
        assert tag not in ("img",) or str(attributes["src"]).startswith("data:image/svg+xml;base64")
        if "href" in attributes:
            assert str(attributes["href"]).startswith("#")


def test_the_page_names_no_address_and_forbids_what_it_does_not_need(tmp_path):
    path = sl.report([trial("a", 90, 9, 9)], tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text.replace("data:image", ""))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none'")
    pictures = re.findall(r"base64,([A-Za-z0-9+/=]+)", text)
    for coded in pictures:
        drawn = base64.b64decode(coded).decode()
        links = re.findall(r'href="([^"]+)"', drawn)
        assert all(link.startswith("#") for link in links)


def test_it_says_the_machine_and_the_versions_but_no_names(tmp_path):
    page = written(tmp_path, [trial("a", 90, 9, 9)])
    assert page.row("paddlepaddle")[1].startswith("3.")
    assert "processors" in page.row("Processor")[1]
    assert os.uname().nodename not in page.row("System")[1].split()


def test_an_older_report_stays_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    page = sl.report([trial("a", 90, 9, 9)], tmp_path / "report.html")
    before = page.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(sl.ArtifactError, match="No space left"):
        sl.report([trial("b", 80, 9, 9)], page)
    assert page.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_is_no_place_and_missing_folders_are_made(tmp_path):
    with pytest.raises(sl.ArtifactError, match="is a folder"):
        sl.report([trial("a", 90, 9, 9)], tmp_path)
    assert sl.report([trial("a", 90, 9, 9)], tmp_path / "deep" / "r.html").is_file()


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    where = tmp_path / "report.html"
    with pytest.raises(sl.PlanError, match="nothing to compare"):
        sl.report([], where)
    with pytest.raises(sl.PlanError, match=r"account of 'b', but no such trial.*'a'"):
        sl.report([trial("a", 90, 9, 9)], where, accounts={"b": sl.Account()})
    assert not where.exists()


def test_a_comparison_is_written_up_as_its_trials(tmp_path):
    trials = [trial("a", 90, 9, 9), trial("b", 80, 5, 5)]
    assert written(tmp_path, sl.compare(trials)).rows == written(tmp_path, trials).rows


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"steps": "one text"}, "one text; give a tuple"),
        ({"ratios": {"a": 1.5}}, "outside"),
        ({"seconds": -1}, "no length of time"),
        ({"seconds": float("nan")}, "no length of time"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused(facts, words):
    with pytest.raises(sl.PlanError, match=words):
        sl.Account(**facts)


def test_an_account_keeps_its_steps_in_order():
    account = sl.Account(["first", "second"], ratios={"a": 0.5})
    assert account.to_frame().to_numpy().tolist() == [[1, "first"], [2, "second"]]
    assert isinstance(account.ratios, sl.Ratios)
    assert hash(account) == hash(sl.Account(("first", "second"), ratios={"a": 0.5}))
