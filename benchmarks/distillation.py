"""A student taught by a teacher against the same student trained alone: accuracy over seeds.

Every run is written to a JSON file as soon as it is over, and is not made again: stop and start as
you like, or let several processes share a file's folder with different `--seeds`.

    python benchmarks/distillation.py --task fashion-mnist --seeds 0 1 2 --epochs 8
    python benchmarks/distillation.py --task digits --seeds 0 1 --epochs 2 --width 0.0625
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paddle

import slimlab as sl
from slimlab.distill import loss_to_dict
from slimlab.train import Training

TRAINED_ALONE = "alone"


def arms(student: paddle.nn.Layer, teacher: paddle.nn.Layer, task: sl.Task) -> dict[str, Any]:
    """Give the ways to teach, by name; the first is not to."""
    soft = sl.SoftLabel(student_temperature=4, teacher_temperature=4, rescale=True, weight=0.9)
    pair = sl.suggest_pairs(student, teacher, task.example)[-1]
    return {
        TRAINED_ALONE: None,
        "soft_label": [soft],
        "dkd": [sl.DKD(weight=0.5)],
        "dist": [sl.DIST(beta=2.0, gamma=2.0, temperature=4.0)],
        "soft_label+attention": [
            soft,
            sl.AttentionTransfer(
                student=pair.student, teacher=pair.teacher, weight=10.0, resize=True
            ),
        ],
    }


def run(options: argparse.Namespace, arm: str, losses: Any, seed: int) -> dict[str, Any]:
    """Train one student in one way, and give what it reached."""
    task = sl.load_task(options.task)
    paddle.seed(seed)
    student = sl.load_model("mobilenet_v1", task, pretrained=False, width=options.width)
    teacher = sl.load_model(options.teacher, task)
    settings = Training(
        optimizer="momentum",
        weight_decay=5e-4,
        warmup=0.1,
        task_weight=0.1 if losses and arm.startswith("soft") else 1.0,
        evaluate_every=options.epochs,
    )
    began = time.monotonic()
    tuned, _ = sl.fine_tune(
        student,
        task,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        seed=seed,
        teacher=teacher if losses else None,
        distill=losses,
        training=settings,
        progress=False,
    )
    return {
        "top1": sl.evaluate(tuned, task)["top1"],
        "teacher_top1": sl.evaluate(teacher, task)["top1"],
        "seconds": time.monotonic() - began,
    }


def key(options: argparse.Namespace, arm: str, losses: Any, seed: int) -> str:
    """Name a run by all that decides its result."""
    settings = {k: getattr(options, k) for k in ("task", "teacher", "width", "epochs")}
    settings |= {"learning_rate": options.learning_rate, "batch_size": options.batch_size}
    settings |= {"losses": [loss_to_dict(loss) for loss in losses or []], "arm": arm}
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=6)
    return f"{options.task}-{arm}-{seed}-{digest.hexdigest()}"


def table(options: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a row an arm: mean, gain over the student alone by seed, and its standard deviation."""
    alone = {row["seed"]: row["top1"] for row in found.get(TRAINED_ALONE, [])}
    print(f"{options.task}, mobilenet_v1 x{options.width:g}, {options.epochs} epochs")
    print(f"{'arm':24s}{'seeds':>6s}{'top1':>8s}{'gain':>8s}{'sd':>7s}{'seconds':>9s}")
    for arm, rows in found.items():
        gains = [row["top1"] - alone[row["seed"]] for row in rows if row["seed"] in alone]
        gain = f"{statistics.mean(gains):+8.2f}" if gains else f"{'':8s}"
        spread = f"{statistics.stdev(gains):7.2f}" if len(gains) > 1 else f"{'':7s}"
        mean = statistics.mean(row["top1"] for row in rows)
        seconds = statistics.mean(row["seconds"] for row in rows)
        print(f"{arm:24s}{len(rows):6d}{mean:8.2f}{gain}{spread}{seconds:9.1f}")
    teachers = [row["teacher_top1"] for rows in found.values() for row in rows]
    if teachers:
        print(f"teacher {options.teacher}: {statistics.mean(teachers):.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that are not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--teacher", default="resnet20")
    parser.add_argument("--width", type=float, default=0.125, help="of the student")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arm", action="append", help="only this one; may be repeated")
    parser.add_argument("--results", type=Path, default=Path("distillation-results"))
    parser.add_argument("--at-most", type=int, default=10**6, help="new runs before the table")
    options = parser.parse_args(arguments)
    task = sl.load_task(options.task)
    student = sl.load_model("mobilenet_v1", task, pretrained=False, width=options.width)
    ways = arms(student, sl.load_model(options.teacher, task), task)
    options.results.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    made = 0
    for seed in options.seeds:  # seed by seed, so that a stopped benchmark compares like with like
        for arm, losses in ways.items():
            if options.arm and arm not in (*options.arm, TRAINED_ALONE):
                continue
            path = options.results / f"{key(options, arm, losses, seed)}.json"
            if not path.exists() and made < options.at_most:
                result = {**run(options, arm, losses, seed), "seed": seed, "arm": arm}
                part = path.with_suffix(".part")
                part.write_text(json.dumps(result, indent=1), encoding="utf-8")
                part.replace(path)
                made += 1
                print(f"{path.stem}: {result['top1']:.2f} in {result['seconds']:.0f} s", flush=True)
            if path.exists():
                row = json.loads(path.read_text(encoding="utf-8"))
                found.setdefault(arm, []).append(row)
    table(options, found)


if __name__ == "__main__":
    main()
