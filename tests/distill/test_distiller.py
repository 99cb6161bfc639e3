"""Binding losses to models: shapes are checked first, and neither model is left changed."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab.distill import Distiller, captured


class Net(nn.Layer):
    """Two stages and a classifier; `relu` is called twice."""

    def __init__(self, width, *, stride=2, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2D(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2D(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2D(width, 2 * width, 3, stride=stride, padding=1)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Linear(2, 2)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        x = self.relu(self.conv2(x))
        return self.fc(self.drop(x.mean([2, 3])))


@pytest.fixture
def student():
    paddle.seed(1)
    return Net(4)


@pytest.fixture
def teacher():
    paddle.seed(2)
    net = Net(6)
    net.train()
    net.norm.eval()
    return net


x = paddle.randn([4, 1, 8, 8])
y = paddle.to_tensor([0, 1, 2, 3])


def state(model):
    """All that could have been changed: tensors, gradients, modes, hooks, attributes."""
    layers = dict(model.named_sublayers(include_self=True))
    return {
        "tensors": {k: v.numpy().tobytes() for k, v in model.state_dict().items()},
        "grads": {k: p.grad is not None for k, p in model.named_parameters()},
        "frozen": {k: p.stop_gradient for k, p in model.named_parameters()},
        "modes": {k: layer.training for k, layer in layers.items()},
        "hooks": {
            k: len(layer._forward_post_hooks) + len(layer._forward_pre_hooks)
            for k, layer in layers.items()
        },
        "attributes": {k: sorted(vars(layer)) for k, layer in layers.items()},
    }


def test_features_are_those_of_the_last_call(student):
    student.eval()
    with captured(student, ["relu", "conv2"]) as seen:
        student(x)
    assert (seen["relu"].numpy() == np.maximum(seen["conv2"].numpy(), 0)).all()


def test_features_outlive_an_activation_that_works_in_place():
    model = nn.Sequential(nn.Conv2D(1, 3, 3), nn.ReLU())
    model[1].forward = nn.functional.relu_
    with paddle.no_grad(), captured(model, ["0"]) as seen:
        model(x)
    assert (seen["0"].numpy() < 0).any()


def test_gradients_reach_the_student_only(student, teacher):
    before = state(teacher)
    losses = [
        sl.SoftLabel(),
        sl.L2(student="conv1", teacher="conv1", adapter=True),
        sl.FSP(student=("conv1", "conv2"), teacher=("conv1", "conv2"), adapter=True, resize=True),
    ]
    distiller = Distiller(student, losses, teacher, x[:1])
    student.train()
    _, terms = distiller.run(student, x, y, epoch=0.0)
    sum(term for _, term in terms).backward()
    for name, parameter in student.named_parameters():
        if not parameter.stop_gradient:
            assert (parameter.grad is None) == name.startswith("unused"), name
    assert all(p.grad is not None for p in distiller.parameters())
    assert state(teacher) == before


def test_checking_the_shapes_changes_neither_model(student, teacher):
    before = state(student), state(teacher)
    Distiller(student, [sl.AttentionTransfer(student="conv1", teacher="conv1")], teacher, x[:1])
    assert (state(student), state(teacher)) == before


def test_an_exception_leaves_no_hook_and_no_mode(student, teacher):
    def broken(s, t, labels):
        raise KeyboardInterrupt

    loss = sl.CustomLoss(function=broken, student="conv1", teacher="conv1")
    distiller = Distiller(student, [loss], teacher, x[:1])
    before = state(student), state(teacher)
    with pytest.raises(KeyboardInterrupt):
        distiller.run(student, x, y, epoch=0.0)
    student.forward = None
    with pytest.raises(TypeError):
        distiller.run(student, x, y, epoch=0.0)
    del student.forward
    for after, name in zip((state(student), state(teacher)), ("student", "teacher"), strict=True):
        old = before[name == "teacher"]
        assert after["hooks"] == old["hooks"]
        assert after["modes"] == old["modes"]
    assert paddle.is_grad_enabled()


def test_terms_are_the_losses_of_the_features_times_the_weight(student, teacher):
    student.eval()
    loss = sl.L2(student="fc", teacher="fc", weight=((0, 1.0), (4, 3.0)))
    distiller = Distiller(student, [sl.SoftLabel(weight=0.5), loss, loss], teacher, x[:1])
    teacher_logits = reference(teacher)
    logits, terms = distiller.run(student, x, y, epoch=1.0)
    expected = np.square(logits.numpy() - teacher_logits).mean() * 1.5
    assert [name for name, _ in terms] == ["soft_label", "l2(fc)", "l2(fc) #2"]
    assert [float(t) for _, t in terms[1:]] == pytest.approx([expected] * 2, rel=1e-5)
    assert float(terms[0][1]) == pytest.approx(
        0.5 * float(sl.SoftLabel().value((logits,), (paddle.to_tensor(teacher_logits),), y)),
        rel=1e-5,
    )


def reference(model):
    """Logits in evaluation mode, by a copy."""
    import copy

    twin = copy.deepcopy(model)
    twin.eval()
    with paddle.no_grad():
        return twin(x).numpy()


def test_a_teacher_that_does_not_count_now_is_not_run(student, teacher):
    calls = []
    handle = teacher.register_forward_post_hook(lambda *_: calls.append(1))
    distiller = Distiller(student, [sl.SoftLabel(start_epoch=1)], teacher, x[:1])
    calls.clear()
    assert distiller.run(student, x, y, epoch=0.5)[1] == []
    assert calls == []
    assert len(distiller.run(student, x, y, epoch=1.0)[1]) == 1
    assert calls == [1]
    handle.remove()


def test_several_teachers_and_one_that_is_a_function(student, teacher):
    def fast(images):
        return np.tile(np.arange(10, dtype="float32"), (len(images), 1))

    losses = [
        sl.L2(student="fc", teacher="fc", teacher_model="slow"),
        sl.SoftLabel(teacher_model="fast"),
    ]
    distiller = Distiller(student, losses, {"slow": teacher, "fast": fast}, x[:1])
    logits, terms = distiller.run(student, x, y, epoch=0.0)
    target = paddle.to_tensor(fast(x))
    assert float(terms[1][1]) == pytest.approx(float(sl.SoftLabel().value((logits,), (target,), y)))
    with pytest.raises(sl.DistillError, match="has no layers to read"):
        Distiller(student, [sl.L2(student="fc", teacher="fc")], fast, x[:1])


class TestAdapters:
    def test_only_where_channels_differ(self, student, teacher):
        losses = [
            sl.L2(student="conv1", teacher="conv1", adapter=True),
            sl.L2(student="fc", teacher="fc", adapter=True),
        ]
        distiller = Distiller(student, losses, teacher, x[:1])
        assert list(distiller.adapters) == ["l2(conv1):0"]
        (adapter,) = distiller.adapters.values()
        assert tuple(adapter.weight.shape) == (6, 4, 1, 1)

    def test_vectors_are_bridged_by_a_linear_map(self, student):
        loss = sl.L2(student="fc", teacher="fc", adapter=True)
        distiller = Distiller(student, [loss], Net(4, classes=7), x[:1])
        (adapter,) = distiller.adapters.values()
        assert tuple(adapter.weight.shape) == (10, 7)

    def test_the_value_is_that_of_the_adapted_feature(self, student, teacher):
        student.eval()
        loss = sl.L2(student="conv1", teacher="conv1", adapter=True)
        distiller = Distiller(student, [loss], teacher, x[:1])
        (adapter,) = distiller.adapters.values()
        adapter.weight.set_value(np.zeros((6, 4, 1, 1), "float32"))
        adapter.bias.set_value(np.full(6, 2.0, "float32"))
        with paddle.no_grad(), captured(teacher, ["conv1"]) as seen:
            teacher.conv1(x)
        ((_, term),) = distiller.run(student, x, y, epoch=0.0)[1]
        assert float(term) == pytest.approx(np.square(2 - seen["conv1"].numpy()).mean(), rel=1e-5)


def test_larger_maps_are_averaged_when_asked(student):
    wide = Net(4, stride=1)
    loss = sl.L2(student="conv2", teacher="conv2", resize=True)
    distiller = Distiller(student, [loss], wide, x[:1])
    student.eval()
    ((_, term),) = distiller.run(student, x, y, epoch=0.0)[1]
    with paddle.no_grad(), captured(student, ["conv2"]) as ours, captured(wide, ["conv2"]) as big:
        student(x)
        wide.eval()
        wide(x)
    means = big["conv2"].numpy().reshape(4, 8, 4, 2, 4, 2).mean(axis=(3, 5))
    assert float(term) == pytest.approx(np.square(ours["conv2"].numpy() - means).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (
            [sl.L2(student="conv1", teacher="conv1")],
            r"'conv1' gives 4 channels of 8 x 8.*'conv1' gives 6 channels of 8 x 8.*adapter=True",
        ),
        (
            [sl.L2(student="conv2", teacher="conv1", adapter=True)],
            r"8 channels of 4 x 4.*6 channels of 8 x 8.*resize=True",
        ),
        (
            [sl.L2(student="conv2", teacher="conv1")],
            r"adapter=True.*resize=True",
        ),
        ([sl.L2(student="conv1", teacher="fc")], "different dimensions"),
        (
            [sl.FSP(student=("conv1", "conv2"), teacher=("conv1", "relu"), adapter=True)],
            r"of the student, 'conv1' gives 4 channels of 8 x 8.*'conv2' gives 8 channels of 4 x 4",
        ),
        ([sl.FSP(student=("conv1", "fc"), teacher=("conv1", "fc"))], "maps"),
        ([sl.AttentionTransfer(student="conv2", teacher="conv1")], "resize=True"),
        ([sl.DKD(student="conv1", teacher="conv1")], "it compares vectors"),
        ([sl.L2(student="cnov1", teacher="conv1")], r"has no layer 'cnov1'\. Did you mean 'conv1'"),
        ([sl.L2(student="conv1", teacher="nothing")], "The teacher has no layer 'nothing'"),
        ([sl.L2(student="unused", teacher="conv1")], "'unused' of the student was not called"),
        ([sl.SoftLabel(teacher_model="b")], "no teacher 'b'"),
        ([], "no distillation loss"),
        (["l2"], "'l2' is no distillation loss"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_before_training(student, teacher, losses, words):
    with pytest.raises(sl.DistillError, match=words):
        Distiller(student, losses, teacher, x[:1])


def test_several_teachers_must_be_told_apart(student, teacher):
    with pytest.raises(sl.DistillError, match=r"teacher_model must name one. Known: 'a', 'b'"):
        Distiller(student, [sl.SoftLabel()], {"a": teacher, "b": teacher}, x[:1])


def test_classes_that_differ_are_named(student):
    with pytest.raises(sl.DistillError, match=r"logits have 10 values.*logits have 7 values"):
        Distiller(student, [sl.SoftLabel()], Net(4, classes=7), x[:1])


class TestSuggestedPairs:
    def test_stages_of_equal_size(self, student, teacher):
        before = state(student), state(teacher)
        pairs = sl.suggest_pairs(student, teacher, x[:1])
        assert [(p.student, p.teacher) for p in pairs] == [("norm", "norm"), ("relu", "relu")]
        assert [p.student_shape for p in pairs] == [(4, 8, 8), (8, 4, 4)]
        assert (state(student), state(teacher)) == before

    def test_networks_of_the_zoo_and_a_start_from_it(self):
        example = paddle.zeros([1, 1, 28, 28])
        student, teacher = sl.load_model("mobilenet_v1"), sl.load_model("resnet20")
        pairs = sl.suggest_pairs(student, teacher, example)
        assert [p.teacher for p in pairs] == ["stage1", "stage2", "stage3"]
        Distiller(student, [sl.L2(**pair.to_dict()) for pair in pairs], teacher, example)

    def test_without_a_common_size_the_last_are_paired(self):
        ours = nn.Sequential(nn.Conv2D(1, 2, 3), nn.Conv2D(2, 3, 3))  # 6, 4
        theirs = nn.Sequential(nn.Conv2D(1, 2, 2), nn.Conv2D(2, 3, 3), nn.Conv2D(3, 3, 3))  # 7 5 3
        pairs = sl.suggest_pairs(ours, theirs, x[:1])
        assert [(p.student, p.teacher) for p in pairs] == [("0", "1"), ("1", "2")]
        assert all(p.to_dict()["resize"] for p in pairs)

    def test_a_network_without_maps(self, student):
        with pytest.raises(sl.DistillError, match="No layer of the teacher"):
            sl.suggest_pairs(student, nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), x[:1])
