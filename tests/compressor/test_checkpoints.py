"""Checkpoints: what is kept, what is refused, and what falls back to the one before."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings

import numpy as np
import pytest
from compressing import DISTILL, PRUNE, TUNE, compress, network, recipe, same, task
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_values import mutations

import slimlab as sl
from slimlab.compressor.checkpoints import Checkpoints, read_state
from slimlab.compressor.journal import history_arrays, history_from
from slimlab.errors import SlimLabWarning
from slimlab.store import read_folder, write_folder
from slimlab.train import Record

STEPS = recipe(PRUNE, DISTILL, checkpoint={"steps": 3, "keep": 3})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A finished run's folder; tests copy it."""
    folder = tmp_path_factory.mktemp("run")
    return folder, compress(STEPS, folder).model


@pytest.fixture
def folder(written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written[0], copy)
    return copy


def names(folder):
    return [path.name for path in Checkpoints(folder / "checkpoints").all()]


def test_the_last_ones_are_kept(folder):
    assert names(folder) == ["000000008-001", "000000006-001", "000000004-001"]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == names(folder)[::-1]


def test_only_safetensors_and_json_are_written(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors", ".yaml", ".csv"}
    state = read_state(folder / "checkpoints" / "000000006-001")
    assert state.training
    assert state.position == type(state.position)(epoch=1, batch=2, step=6)
    assert list(state.snapshot.adapters) == ["l2(5):0"], "6 channels are compared with 8"
    assert any(key.startswith("velocity") for key in state.snapshot.optimizer)
    assert state.snapshot.updates == 6
    assert state.acted[0].facts["plan"]["kept"]


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "empty"])
def test_a_damaged_one_falls_back_to_the_one_before(damage, folder, written):
    newest = folder / "checkpoints" / names(folder)[0]
    file = newest / "model.safetensors"
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "missing":
        file.unlink()
    else:
        shutil.rmtree(newest)
        newest.mkdir()
    with pytest.warns(SlimLabWarning, match="000000008-001 was passed over"):
        again = compress(STEPS, folder)
    assert same(again.model, written[1])
    assert "passed over" in again.notes[0]


def test_when_none_is_whole_the_run_refuses_to_begin_anew(folder):
    for name in names(folder):
        (folder / "checkpoints" / name / "slimlab.json").write_text("{}")
    with pytest.raises(sl.ArtifactError, match="None of the 3 checkpoints"):
        compress(STEPS, folder)


def test_left_overs_of_a_killed_process_are_removed(folder):
    aside = folder / "checkpoints" / ".000000009-001.0a1b2c3d.tmp"
    aside.mkdir()
    (aside / "model.safetensors").write_bytes(b"half")
    compress(STEPS, folder)
    assert not aside.exists()


def test_another_model_or_other_data_are_refused(folder):
    other = network()
    other[0].weight.set_value(other[0].weight * 2)
    with pytest.raises(sl.ArtifactError, match="another model"):
        sl.Compressor(STEPS, other, task(), folder=folder).run(progress=False)
    with pytest.raises(sl.ArtifactError, match="other data"):
        sl.Compressor(STEPS, network(), task(160), folder=folder).run(progress=False)


def test_a_renamed_pickle_never_runs(folder, tmp_path):
    mark = tmp_path / "mark"

    class Hostile:
        def __reduce__(self):
            return mark.write_text, ("run",)

    for name in names(folder):
        for file in (folder / "checkpoints" / name).iterdir():
            file.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(sl.ArtifactError):
        compress(STEPS, folder)
    assert not mark.exists()


def same_json(content, path):
    """Whether only white space between the values of a manifest differs: a line end made a tab."""
    if path.suffix != ".json":
        return False
    try:
        return json.loads(content) == json.loads(path.read_bytes())
    except ValueError:
        return False


def _damaged(written, data, base):
    """Flip a few bits of a whole checkpoint, or cut a file of it short, and read it."""
    source = written[0] / "checkpoints" / "000000006-001"
    target = base / "damaged"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    file = data.draw(st.sampled_from(sorted(p.name for p in target.iterdir())))
    content = bytearray((target / file).read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    if bytes(content) == (source / file).read_bytes() or same_json(content, source / file):
        return
    (target / file).write_bytes(content)
    with pytest.raises(sl.ArtifactError) as refused:
        read_state(target)
    assert 10 < len(str(refused.value)) < 2000
    assert sorted(p.name for p in target.iterdir()) == sorted(p.name for p in source.iterdir())


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_damage_is_always_found(written, tmp_path_factory, data):
    _damaged(written, data, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@given(st.data())
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_damage_is_always_found_thousands_of_times(written, tmp_path_factory, data):
    _damaged(written, data, tmp_path_factory.getbasetemp())


anything = st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4)
FACTS = ("version", "recipe", "position", "acted", "history", "adapters")


@given(st.sampled_from(FACTS), anything)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_manifest_that_says_something_else_is_refused(written, tmp_path_factory, key, value):
    facts, files = read_folder(written[0] / "checkpoints" / "000000006-001", "checkpoint")
    target = tmp_path_factory.getbasetemp() / "foreign"
    changed = {k: v for k, v in facts.items() if k not in ("kind", "files")} | {key: value}
    shutil.rmtree(target, ignore_errors=True)
    write_folder(target, "checkpoint", json.loads(json.dumps(changed)), files)
    if (key, value) in (("acted", []), ("version", 1)):
        return  # a run may have none
    if key == "adapters" and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return  # names are compared with those that the recipe needs
    with pytest.raises(sl.ArtifactError):
        read_state(target)


def _goes_on_or_refuses(written, base, data):
    """Write a checkpoint with right checksums and odd facts, and go on from it."""
    facts, files = read_folder(written[0] / "checkpoints" / "000000006-001", "checkpoint")
    own = {k: v for k, v in facts.items() if k not in ("kind", "files")}
    changed = data.draw(mutations(own))
    folder = base / "odd"
    shutil.rmtree(folder, ignore_errors=True)
    write_folder(folder / "checkpoints" / "000000006-001", "checkpoint", changed, files)
    steps = sl.Compressor(STEPS, network(), task(), folder=folder).iter_run()
    words = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlimLabWarning)
        try:
            next(steps)
        except sl.SlimLabError as refused:
            words.append(str(refused))
        finally:
            steps.close()
    assert all(10 < len(each) < 1000 for each in words)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["000000006-001"]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_odd_facts_end_in_a_sentence(written, tmp_path_factory, data):
    _goes_on_or_refuses(written, tmp_path_factory.getbasetemp(), data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_odd_facts_end_in_a_sentence_thousands_of_times(written, tmp_path_factory, data):
    _goes_on_or_refuses(written, tmp_path_factory.getbasetemp(), data)


parts = st.lists(
    st.tuples(st.text(max_size=4), st.floats(allow_nan=False)), max_size=3, unique_by=lambda p: p[0]
)
records = st.builds(
    Record, st.integers(0, 10**9), st.floats(0, 1e6), st.none() | st.floats(allow_nan=False),
    st.floats(0, 1), st.none() | st.floats(allow_nan=False), parts.map(tuple),
)  # fmt: skip


@given(st.lists(records, max_size=6))
def test_a_history_comes_back_bit_for_bit(found):
    history = sl.History(tuple(found))
    kinds, arrays = history_arrays(history)
    again = history_from(json.loads(json.dumps(kinds)), arrays)
    assert again == history
    assert all(np.isfinite(a).all() for k, a in arrays.items() if k == "kind")


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compress(recipe(PRUNE, TUNE))
    assert list(tmp_path.iterdir()) == []
