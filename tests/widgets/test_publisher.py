from __future__ import annotations

import threading

from slimlab_widgets.publisher import Publisher


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_sends_the_first_at_once_and_holds_back_the_next():
    sent, clock = [], Clock()
    publisher = Publisher(sent.append, every=60, clock=clock)
    publisher.put(a=1)
    publisher.put(a=2)
    publisher.put(b=3)
    assert sent == [{"a": 1}]
    publisher.flush()
    assert sent == [{"a": 1}, {"a": 2, "b": 3}]


def test_sends_again_when_the_time_is_over():
    sent, clock = [], Clock()
    publisher = Publisher(sent.append, every=60, clock=clock)
    publisher.put(a=1)
    clock.now += 61
    publisher.put(a=2)
    assert sent == [{"a": 1}, {"a": 2}]


def test_the_last_value_arrives_without_being_asked_for():
    arrived = threading.Event()
    sent = []

    def send(values):
        sent.append(values)
        if values.get("a") == 99:
            arrived.set()

    publisher = Publisher(send, every=0.05)
    for value in range(100):
        publisher.put(a=value)
    assert arrived.wait(5)
    assert len(sent) < 50


def test_functions_are_called_only_when_sent():
    calls = []
    publisher = Publisher(lambda values: None, every=60)
    publisher.put(a=0)
    for value in range(10):
        publisher.put(a=lambda value=value: calls.append(value))
    publisher.flush()
    assert calls == [9]


def test_many_threads_leave_the_newest_value():
    seen = {}
    publisher = Publisher(seen.update, every=0.001)

    def work(name):
        for value in range(200):
            publisher.put(**{name: value})

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publisher.flush()
    assert seen == {f"t{n}": 199 for n in range(4)}


def test_a_large_value_is_sent_less_often_and_holds_nothing_back():
    sent, clock = [], Clock()
    publisher = Publisher(sent.append, every=60, slow={"big": 4}, clock=clock)
    publisher.put(big=1, a=1)
    for now, value in [(160, 2), (220, 3), (280, 4), (340, 5)]:
        clock.now = now
        publisher.put(big=value, a=value)
    assert sent == [{"big": 1, "a": 1}, {"a": 2}, {"a": 3}, {"a": 4}, {"big": 5, "a": 5}]


def test_a_large_value_arrives_without_being_asked_for():
    arrived, sent = threading.Event(), []

    def send(values):
        sent.append(dict(values))
        if values.get("big") == 20:
            arrived.set()

    publisher = Publisher(send, every=0.02, slow={"big": 10})
    for value in range(21):
        publisher.put(big=value)
    publisher.put(a="soon")  # the timer of the large value does not delay it
    assert arrived.wait(20)
    assert [v["big"] for v in sent if "big" in v] == [0, 20]
    assert [n for n, v in enumerate(sent) if "a" in v] == [1]


def test_the_answer_to_a_hand_does_not_wait():
    sent = []
    publisher = Publisher(sent.append, every=60)
    publisher.put(job=1)
    publisher.put(job=2, picked="old")
    publisher.hold(picked="new")
    publisher.send_now("picked")
    assert sent == [{"job": 1}, {"picked": "new"}]
    publisher.flush()
    assert sent[-1] == {"job": 2}
