"""Tasks of a user's own: what they give, and what they refuse with which sentence."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.loaders import ArrayLoader, DatasetLoader
from slimlab.task import LOSS, TOP1, TOP5, Task


def arrays(n=20, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 1, 4, 4), dtype=np.float32), rng.integers(0, classes, n)


class Numbered(paddle.io.Dataset):
    """Image i is filled with i, its label is i modulo 3."""

    def __init__(self, n=10):
        super().__init__()
        self.n = n

    def __getitem__(self, i):
        return np.full((1, 4, 4), i, "float32"), i % 3

    def __len__(self):
        return self.n


def values(loader, **options):
    """The images of `Numbered`, or of arrays like it, in the order they come."""
    return [int(v) for x, _ in loader.batches(**options) for v in x[:, 0, 0, 0].numpy()]


def numbered_arrays(n=10):
    x = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None, None], (n, 1, 4, 4))
    return np.ascontiguousarray(x), np.arange(n) % 3


def loaders(n):
    return [ArrayLoader(*numbered_arrays(n)), DatasetLoader(Numbered(n), name="test")]


class TestLoaders:
    @settings(max_examples=30, deadline=None)
    @given(n=st.integers(1, 12), batch=st.integers(1, 14), images=st.integers(1, 14))
    def test_batches_partition_the_first_images_of_the_fixed_order(self, n, batch, images):
        for loader in loaders(n):
            whole = values(loader)
            assert sorted(whole) == list(range(n))
            assert values(loader, batch_size=batch, images=images) == whole[:images]
            sizes = [len(x) for x, _ in loader.batches(batch, images=images)]
            assert sizes[:-1] == [batch] * (len(sizes) - 1)

    @settings(max_examples=20, deadline=None)
    @given(n=st.integers(2, 12), seed=st.integers(0, 99))
    def test_a_seed_shuffles_the_same_way_each_time(self, n, seed):
        for loader in loaders(n):
            shuffled = values(loader, seed=seed, batch_size=4)
            assert shuffled == values(loader, seed=seed, batch_size=5)
            assert sorted(shuffled) == list(range(n))

    def test_seeds_differ(self):
        for loader in loaders(12):
            assert values(loader, seed=1) != values(loader, seed=2)

    def test_labels_stay_with_their_images(self):
        for loader in loaders(11):
            for x, y in loader.batches(4, seed=3):
                assert (x[:, 0, 0, 0].numpy() % 3 == y.numpy()).all()
                assert y.dtype == paddle.int64

    def test_images_of_two_shapes_are_refused(self):
        class Growing(Numbered):
            def __getitem__(self, i):
                return np.zeros((1, 4 + i, 4), "float32"), 0

        with pytest.raises(sl.TaskError, match="different shapes"):
            next(DatasetLoader(Growing(), name="train").batches(2))

    def test_an_error_of_the_dataset_arrives(self):
        # Paddle's own loader would wait for the item forever.
        class Failing(Numbered):
            def __getitem__(self, i):
                message = "no such file"
                raise OSError(message)

        with pytest.raises(OSError, match="no such file"):
            next(DatasetLoader(Failing(), name="train").batches(2))

    def test_loading_draws_nothing_from_the_global_random_state(self):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        for loader in loaders(5):
            values(loader, seed=1)
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002

    @pytest.mark.parametrize("options", [{"batch_size": 0}, {"images": 0}])
    def test_counts_below_one_are_refused(self, options):
        for loader in loaders(3):
            with pytest.raises(sl.TaskError, match="at least 1"):
                values(loader, **options)

    @pytest.mark.parametrize("change", ["image", "label", "order", "length"])
    def test_fingerprint_changes_with(self, change):
        x, y = numbered_arrays()
        same = ArrayLoader(x.copy(), y.copy()).fingerprint()
        order = None
        if change == "image":
            x[3, 0, 1, 1] += 1e-3
        elif change == "label":
            y[3] = (y[3] + 1) % 3
        elif change == "order":
            order = np.arange(10)[::-1]
        else:
            x, y = x[:9], y[:9]
        assert ArrayLoader(*numbered_arrays()).fingerprint() == same
        assert ArrayLoader(x, y, order=order).fingerprint() != same

    def test_dataset_fingerprint(self):
        def of(n):
            return DatasetLoader(Numbered(n), name="test").fingerprint()

        assert of(10) == of(10) != of(11)

    def test_a_stream_is_refused(self):
        class Stream(paddle.io.IterableDataset):
            def __iter__(self):
                yield np.zeros((1, 4, 4), "float32"), 0

        with pytest.raises(sl.TaskError, match="can't be indexed"):
            DatasetLoader(Stream(), name="train")

    @pytest.mark.parametrize(
        ("item", "sentence"),
        [
            ((np.zeros((4, 4), "float32"), 0), r"shape \(4, 4\)"),
            ((np.zeros((1, 4, 4), "uint8"), 0), "must be .channels, height, width. float32"),
            ((np.zeros((1, 4, 4), "float32"),), "of the train data is not a pair"),
            ((np.zeros((1, 4, 4), "float32"), 0.5), "one whole number"),
            ((np.zeros((1, 4, 4), "float32"), np.array([0, 1])), "one whole number"),
        ],
    )
    def test_items_of_the_wrong_kind_are_refused(self, item, sentence):
        class Wrong(Numbered):
            def __getitem__(self, i):
                return item

        with pytest.raises(sl.TaskError, match=sentence):
            next(DatasetLoader(Wrong(), name="train").batches(2))


class TestMetrics:
    logits = paddle.to_tensor(np.eye(6, dtype="float32") * 5 + np.arange(6, dtype="float32") * 0.1)

    def test_top1_counts_the_largest_logit(self):
        labels = paddle.to_tensor([0, 1, 2, 3, 4, 0])
        assert TOP1.function(self.logits, labels).tolist() == [1, 1, 1, 1, 1, 0]

    def test_top5_misses_only_the_smallest_of_six(self):
        labels = paddle.to_tensor([1, 0, 0, 3, 4, 5])
        assert TOP5.function(self.logits, labels).tolist() == [0, 0, 0, 1, 1, 1]

    def test_top5_of_three_classes_is_always_right(self):
        scores = TOP5.function(paddle.randn([4, 3]), paddle.to_tensor([0, 1, 2, 0]))
        assert scores.tolist() == [1, 1, 1, 1]

    def test_loss_is_the_negative_log_probability(self):
        labels = np.array([0, 1, 2, 3, 4, 0])
        z = self.logits.numpy().astype(float)
        expected = np.log(np.exp(z).sum(1)) - z[np.arange(6), labels]
        found = LOSS.function(self.logits, paddle.to_tensor(labels)).numpy()
        assert found == pytest.approx(expected, rel=1e-5)

    def test_only_the_loss_falls_when_things_get_better(self):
        assert (TOP1.higher_is_better, LOSS.higher_is_better) == (True, False)
        assert (TOP1.unit, TOP1.scale, LOSS.unit, LOSS.scale) == ("%", 100.0, "", 1.0)


class TestFromArrays:
    def test_gives_every_image_once(self):
        x, y = numbered_arrays()
        task = Task.from_arrays(x, y, x[:6], y[:6], num_classes=3)
        assert sorted(values(task.train)) == list(range(10))
        assert sorted(values(task.test)) == list(range(6))
        assert tuple(task.example.shape) == (1, 1, 4, 4)
        assert task.metric.name == "top1"

    def test_first_images_of_sorted_data_have_all_classes(self):
        x, y = arrays(300)
        y = np.sort(y)
        task = Task.from_arrays(x, y, x, y, num_classes=3)
        for loader in (task.train, task.test, task.calibration):
            _, labels = next(loader.batches(32, images=32))
            assert set(labels.tolist()) == {0, 1, 2}

    def test_small_integer_labels_become_int64(self):
        x, y = arrays()
        task = Task.from_arrays(x, y.astype(np.uint8), x, y.astype(np.int32), num_classes=3)
        assert {y.dtype for _, y in task.train.batches()} == {paddle.int64}

    def test_calibration_holds_at_most_1024_training_images(self):
        x, y = arrays(1100)
        task = Task.from_arrays(x, y, x[:5], y[:5], num_classes=3)
        assert len(task.calibration) == 1024

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda x, y: (x[:, 0], y), r"x_train has shape \(20, 4, 4\).*channel axis"),
            (lambda x, y: (x.astype(np.float64), y), "float64; it must be float32"),
            (lambda x, y: ((x * 255).astype(np.uint8), y), "uint8; it must be float32"),
            (lambda x, y: (x, y[:-1]), r"holds 20 images but y_train has shape \(19,\)"),
            (lambda x, y: (x, y[:, None]), r"y_train has shape \(20, 1\)"),
            (lambda x, y: (x, y.astype(float)), "whole numbers"),
            (lambda x, y: (x, y + 1), r"labels run from \d to 3; with num_classes=3"),
            (lambda x, y: (x, y - 1), "labels run from -1"),
            (lambda x, y: (x[:0], y[:0]), "holds no image"),
            (
                lambda x, y: (np.where(x == x[7], np.nan, x).astype("f4"), y),
                "NaN.*1 of 20.*index 7",
            ),
            (lambda x, y: (np.where(x == x[2], np.inf, x).astype("f4"), y), "infinite.*index 2"),
            (lambda x, y: (x[:, :, :3], y), "must be the same"),
        ],
    )
    def test_refuses_with_a_sentence(self, change, sentence):
        x, y = arrays()
        bad_x, bad_y = change(x, y)
        with pytest.raises(sl.TaskError, match=sentence):
            Task.from_arrays(bad_x, bad_y, x, y, num_classes=3)

    def test_the_test_split_is_checked_too(self):
        x, y = arrays()
        with pytest.raises(sl.TaskError, match="y_test"):
            Task.from_arrays(x, y, x, y[:3], num_classes=3)

    def test_one_class_is_refused(self):
        x, y = arrays(classes=1)
        with pytest.raises(sl.TaskError, match="at least 2"):
            Task.from_arrays(x, y, x, y, num_classes=1)

    def test_a_task_without_metrics_is_refused(self):
        loader = ArrayLoader(*arrays())
        with pytest.raises(sl.TaskError, match="no metric"):
            Task("t", loader, loader, loader, 3, metrics=())

    def test_fingerprint_depends_on_data_and_name(self):
        x, y = arrays()
        one = Task.from_arrays(x, y, x, y, num_classes=3)
        same = Task.from_arrays(x.copy(), y.copy(), x.copy(), y.copy(), num_classes=3)
        assert one.fingerprint() == same.fingerprint()
        x2 = x.copy()
        x2[0] += 1
        assert Task.from_arrays(x, y, x2, y, num_classes=3).fingerprint() != one.fingerprint()
        assert Task.from_arrays(x, y, x, y, num_classes=4).fingerprint() != one.fingerprint()


class TestFromDatasets:
    def test_gives_every_item_once(self):
        task = Task.from_datasets(Numbered(9), Numbered(5), num_classes=3, name="numbers")
        assert sorted(values(task.train)) == list(range(9))
        assert sorted(values(task.test)) == list(range(5))
        assert set(values(task.calibration)) <= set(range(9))

    def test_calibration_may_have_its_own_data(self):
        task = Task.from_datasets(
            Numbered(9), Numbered(5), num_classes=3, name="n", calibration=Numbered(4)
        )
        assert sorted(values(task.calibration)) == list(range(4))

    def test_empty_data_are_refused(self):
        with pytest.raises(sl.TaskError, match="test data of task 'n' hold no image"):
            Task.from_datasets(Numbered(9), Numbered(0), num_classes=3, name="n")

    def test_a_label_outside_the_classes_is_refused(self):
        class High(Numbered):
            def __getitem__(self, i):
                return np.zeros((1, 4, 4), "float32"), 7

        with pytest.raises(sl.TaskError, match="labels run from 7 to 7"):
            Task.from_datasets(High(), Numbered(), num_classes=3, name="n")
