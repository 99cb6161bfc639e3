"""Distillation losses against oracles in NumPy, written from the papers' formulas alone."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.distill import LOSSES, loss_from_dict, loss_to_dict


def tensor(array, *, learn=False):
    return paddle.to_tensor(np.asarray(array, "float32"), stop_gradient=not learn)


def value(loss, student, teacher, labels=None):
    """The loss of arrays, and its gradient by the first of the student's."""
    students = [tensor(s, learn=True) for s in student]
    teachers = [tensor(t) for t in teacher]
    y = paddle.to_tensor(np.zeros(len(student[0]), "int64") if labels is None else labels)
    found = loss.value(tuple(students), tuple(teachers), y)
    assert found.shape == []
    found.backward()
    return float(found), students[0].grad.numpy()


def softmax(z, temperature=1.0):
    e = np.exp(z / temperature - (z / temperature).max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def logits(seed, n=5, classes=4):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 2, (n, classes)), rng.normal(0, 2, (n, classes))


def maps(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


class TestSoftLabel:
    def test_by_hand(self):
        # Equal logits of two classes: cross-entropy ln 2, whatever the temperatures.
        assert value(sl.SoftLabel(), [[[0.0, 0.0]]], [[[3.0, 3.0]]])[0] == pytest.approx(np.log(2))
        # Student (ln 3, 0) has (3/4, 1/4), teacher (2 ln 3, 0) at temperature 2 the same.
        found, _ = value(
            sl.SoftLabel(teacher_temperature=2.0), [[[np.log(3), 0]]], [[[2 * np.log(3), 0]]]
        )
        assert found == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), rel=1e-5)

    @pytest.mark.parametrize(("ts", "tt"), [(1.0, 1.0), (2.0, 5.0), (4.0, 4.0)])
    def test_the_formula(self, ts, tt):
        s, t = logits(0)
        both = zip(softmax(s, ts), softmax(t, tt), strict=True)
        expected = np.mean([-(q * np.log(p)).sum() for p, q in both])
        loss = sl.SoftLabel(student_temperature=ts, teacher_temperature=tt)
        assert value(loss, [s], [t])[0] == pytest.approx(expected, rel=1e-5)
        scaled = dataclasses.replace(loss, rescale=True)
        assert value(scaled, [s], [t])[0] == pytest.approx(expected * ts * tt, rel=1e-5)

    def test_the_gradient_is_the_difference_of_the_probabilities(self):
        s, t = logits(1)
        _, gradient = value(sl.SoftLabel(), [s], [t])
        assert gradient == pytest.approx((softmax(s) - softmax(t)) / len(s), abs=1e-6)

    def test_on_a_map_each_position_is_a_sample(self):
        s, t = maps(2, (2, 3, 4, 5), (2, 3, 4, 5))
        flat = [f.transpose(0, 2, 3, 1).reshape(-1, 3) for f in (s, t)]
        assert value(sl.SoftLabel(), [s], [t])[0] == pytest.approx(
            value(sl.SoftLabel(), flat[:1], flat[1:])[0], rel=1e-5
        )


class TestL2:
    def test_by_hand(self):
        found, gradient = value(sl.L2(), [[[1.0, 2.0], [3.0, 4.0]]], [[[1.0, 0.0], [0.0, 4.0]]])
        assert found == pytest.approx((4 + 9) / 4)
        assert gradient == pytest.approx(np.array([[0, 1.0], [1.5, 0]]))


def flow(f1, f2):
    """Equation (1) of the paper, position by position."""
    c1, h, w = f1.shape
    g = np.zeros((c1, len(f2)))
    for i in range(c1):
        for j in range(len(f2)):
            for s in range(h):
                for t in range(w):
                    g[i, j] += f1[i, s, t] * f2[j, s, t] / (h * w)
    return g


PAIR = {"student": ("a", "b"), "teacher": ("a", "b")}


class TestFSP:
    def test_by_hand(self):
        # One image, one channel each: the flow is the mean of the products.
        f1 = np.array([[[[1.0, 2.0]]]])
        f2 = np.array([[[[3.0, 4.0]]]])
        zero = np.zeros_like(f1)
        found, _ = value(sl.FSP(**PAIR), [f1, f2], [zero, zero])
        assert found == pytest.approx(((3 + 8) / 2) ** 2)

    def test_the_papers_formula(self):
        # Sizes of the teacher differ from the student's: a flow has none.
        s1, s2, t1, t2 = maps(3, (3, 2, 4, 5), (3, 6, 4, 5), (3, 2, 2, 3), (3, 6, 2, 3))
        squares = [
            np.square(flow(s1[i], s2[i]) - flow(t1[i], t2[i])).sum() for i in range(3)
        ]  # fmt: skip
        found, _ = value(sl.FSP(**PAIR), [s1, s2], [t1, t2])
        assert found == pytest.approx(np.mean(squares), rel=1e-5)
        mean, _ = value(sl.FSP(**PAIR, reduction="mean"), [s1, s2], [t1, t2])
        assert mean == pytest.approx(np.mean(squares) / 12, rel=1e-5)


class TestDKD:
    def oracle(self, s, t, labels, alpha, beta, temperature):
        total = 0.0
        for i, y in enumerate(labels):
            p, q = (softmax(z[i : i + 1], temperature)[0] for z in (s, t))
            b_p, b_q = np.array([p[y], 1 - p[y]]), np.array([q[y], 1 - q[y]])
            rest = [k for k in range(len(p)) if k != y]
            hat_p, hat_q = p[rest] / (1 - p[y]), q[rest] / (1 - q[y])
            tckd = (b_q * np.log(b_q / b_p)).sum()
            nckd = (hat_q * np.log(hat_q / hat_p)).sum()
            total += alpha * tckd + beta * nckd
        return temperature**2 * total / len(labels)

    @pytest.mark.parametrize(("alpha", "beta", "temperature"), [(1, 8, 4.0), (0.5, 2, 1.0)])
    def test_the_papers_formula(self, alpha, beta, temperature):
        s, t = logits(4, n=6, classes=5)
        labels = np.array([0, 1, 2, 3, 4, 0])
        loss = sl.DKD(alpha=alpha, beta=beta, temperature=temperature)
        expected = self.oracle(s, t, labels, alpha, beta, temperature)
        assert value(loss, [s], [t], labels)[0] == pytest.approx(expected, rel=1e-4)

    def test_coupled_it_is_kullback_leibler(self):
        # The paper's equation (7): KL = TCKD + (1 - p_t of the teacher) NCKD.
        s, t = logits(5, n=1)
        p, q = softmax(s), softmax(t)
        loss = sl.DKD(alpha=1.0, beta=1 - q[0, 2], temperature=1.0)
        assert value(loss, [s], [t], np.array([2]))[0] == pytest.approx(
            (q * np.log(q / p)).sum(), rel=1e-4
        )


class TestDIST:
    def oracle(self, s, t, beta, gamma, temperature):
        p, q = softmax(s, temperature), softmax(t, temperature)
        inter = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)])
        intra = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)])
        return beta * inter + gamma * intra

    @pytest.mark.parametrize(("beta", "gamma", "temperature"), [(1, 1, 1.0), (2, 0.5, 4.0)])
    def test_the_papers_formula(self, beta, gamma, temperature):
        s, t = logits(6, n=7)
        loss = sl.DIST(beta=beta, gamma=gamma, temperature=temperature)
        assert value(loss, [s], [t])[0] == pytest.approx(
            self.oracle(s, t, beta, gamma, temperature), rel=1e-4
        )

    def test_one_image_has_no_relation_between_images(self):
        found, gradient = value(sl.DIST(beta=0.0), [[[1.0, 2.0]]], [[[0.0, 3.0]]])
        assert found == 1.0
        assert np.isfinite(gradient).all()


class TestAttentionTransfer:
    def oracle(self, s, t, power):
        total = 0.0
        for a, b in zip(s, t, strict=True):
            maps = [(np.abs(f) ** power).sum(axis=0).ravel() for f in (a, b)]
            one, two = (m / np.linalg.norm(m) for m in maps)
            total += 0.5 * np.linalg.norm(one - two) ** 2
        return total / len(s)

    @pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
    def test_the_formula_for_different_channels(self, power):
        s, t = maps(7, (3, 2, 4, 5), (3, 6, 4, 5))
        loss = sl.AttentionTransfer(power=power)
        assert value(loss, [s], [t])[0] == pytest.approx(self.oracle(s, t, power), rel=1e-4)

    def test_a_map_of_zeros_has_a_gradient(self):
        s, t = np.zeros((2, 2, 3, 3)), maps(8, (2, 2, 3, 3))[0]
        assert np.isfinite(value(sl.AttentionTransfer(), [s], [t])[1]).all()


class TestCustom:
    def test_it_gets_features_and_labels(self):
        seen = []

        def margin(student, teacher, labels):
            seen.append(labels.tolist())
            return (student - teacher).abs().max()

        found, _ = value(
            sl.CustomLoss(function=margin), [[[1.0, -4.0]]], [[[0.0, 0.0]]], np.array([1])
        )
        assert (found, seen) == (4.0, [[1]])

    @pytest.mark.parametrize("bad", [lambda s, t, y: s, lambda s, t, y: 3.0])
    def test_it_must_give_a_scalar(self, bad):
        with pytest.raises(sl.DistillError, match="must give a scalar"):
            value(sl.CustomLoss(function=bad), [np.ones((2, 3))], [np.ones((2, 3))])

    def test_it_cannot_be_written_down(self):
        with pytest.raises(sl.DistillError, match="can't be written down"):
            loss_to_dict(sl.CustomLoss(function=lambda s, t, y: s.mean()))


PLAIN = [
    sl.SoftLabel(), sl.L2(), sl.FSP(**PAIR), sl.DKD(), sl.DIST(), sl.AttentionTransfer(),
]  # fmt: skip


@pytest.mark.parametrize("loss", PLAIN, ids=lambda loss: loss.kind)
def test_equal_features_are_a_minimum(loss):
    shape = (6, 4) if loss.ranks == (2,) or loss.kind == "soft_label" else (6, 4, 3, 3)
    features = maps(9, *[shape] * loss.needs)
    labels = np.arange(6) % 4
    _, gradient = value(loss, features, features, labels)
    assert gradient == pytest.approx(np.zeros(shape), abs=1e-5)


# ------------------------------------------------------------------------ what all have in common


def test_all_are_registered():
    assert set(LOSSES) >= {"soft_label", "l2", "fsp", "dkd", "dist", "attention"}
    assert all(LOSSES[loss.kind] is type(loss) for loss in PLAIN)


points = st.lists(st.tuples(st.floats(0, 50), st.floats(0, 10)), min_size=1, max_size=4,
                  unique_by=lambda p: p[0]).map(lambda ps: tuple(sorted(ps)))  # fmt: skip


@given(
    kind=st.sampled_from([loss.kind for loss in PLAIN]),
    weight=st.one_of(st.floats(0, 100), points),
    start=st.integers(0, 20),
    length=st.one_of(st.none(), st.integers(1, 20)),
    teacher_model=st.one_of(st.none(), st.text(max_size=5)),
)
@settings(max_examples=60, deadline=None)
def test_written_down_and_read_again_it_is_equal(kind, weight, start, length, teacher_model):
    end = None if length is None else start + length
    layers = ("a", "b") if kind == "fsp" else "a.b"
    loss = LOSSES[kind](student=layers, teacher=layers, weight=weight, start_epoch=start,
                        end_epoch=end, teacher_model=teacher_model)  # fmt: skip
    again = loss_from_dict(json.loads(json.dumps(loss_to_dict(loss))))
    assert again == loss
    assert hash(again) == hash(loss)


@given(points, st.floats(0, 60))
@settings(max_examples=60, deadline=None)
def test_a_weight_changes_evenly_between_its_points(weight, epoch):
    found = sl.L2(weight=weight).weight_at(epoch)
    expected = np.interp(epoch, [e for e, _ in weight], [w for _, w in weight])
    assert found == pytest.approx(expected, abs=1e-9)


def test_outside_its_epochs_a_loss_does_not_count():
    loss = sl.L2(weight=3, start_epoch=2, end_epoch=4)
    assert [loss.weight_at(e) for e in (0, 1.99, 2, 3.99, 4, 9)] == [0, 0, 3, 3, 0, 0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sl.L2(weight=-1), "not negative"),
        (lambda: sl.L2(weight=float("nan")), "not negative"),
        (lambda: sl.L2(weight=((3, 1), (1, 2))), "rising epochs"),
        (lambda: sl.L2(weight=()), "points"),
        (lambda: sl.L2(weight="much"), "points"),
        (lambda: sl.L2(start_epoch=5, end_epoch=5), "must be above start_epoch"),
        (lambda: sl.L2(start_epoch=-1), "count from 0"),
        (lambda: sl.L2(student=("a", "b")), "a layer's name or None"),
        (lambda: sl.L2(student=3), "a layer's name or None"),
        (lambda: sl.FSP(student="a", teacher=("a", "b")), "names of 2 layers"),
        (lambda: sl.FSP(**PAIR, reduction="max"), "'sum' or 'mean'"),
        (lambda: sl.SoftLabel(student_temperature=0), "above 0"),
        (lambda: sl.DKD(temperature=-1), "above 0"),
        (lambda: sl.DKD(adapter=True), "no use for an adapter"),
        (lambda: sl.AttentionTransfer(power=0.5), "between 1 and 16"),
        (lambda: sl.CustomLoss(function=3), "can't be called"),
        (lambda: loss_from_dict({"loss": "l3"}), "Did you mean 'l2'"),
        (lambda: loss_from_dict({}), "no distillation loss None"),
        (lambda: loss_from_dict({"loss": "l2", "wieght": 1}), "Did you mean 'weight'"),
    ],
)
def test_refused(make, words):
    with pytest.raises(sl.DistillError, match=words):
        make()
