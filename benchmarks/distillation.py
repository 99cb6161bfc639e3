"""A student taught by a teacher against the same student trained alone: accuracy over seeds.

Every run is written to a JSON file as soon as it is over, and is not made again: stop and start as
you like, or let several processes share a file's folder with different `--seeds`. Teachers whose
logits alone are compared run on ONNX Runtime.

    python benchmarks/distillation.py --results docs/data/distillation --table docs/distillation.md
    python benchmarks/distillation.py --task digits --seeds 0 1 --epochs 2 --width 2
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


START, END = "<!-- table: benchmarks/distillation.py -->", "<!-- end -->"


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
    student = sl.load_model(options.student, task, pretrained=False, width=options.width)
    teacher = sl.load_model(options.teacher, task)
    on_logits = losses and all(loss.teacher_layers == (None,) for loss in losses)
    taught_by = sl.fast_teacher(teacher, task.example, threads=1) if on_logits else teacher
    settings = Training(
        optimizer="momentum",
        weight_decay=5e-4,
        warmup=0.1,
        task_weight=0.1 if losses and arm.startswith("soft") else 1.0,
        evaluate_every=options.epochs,
    )
    began = time.process_time()  # whatever else the machine does
    tuned, _ = sl.fine_tune(
        student,
        task,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        seed=seed,
        teacher=taught_by if losses else None,
        distill=losses,
        training=settings,
        progress=False,
    )
    return {
        "top1": sl.evaluate(tuned, task)["top1"],
        "teacher_top1": sl.evaluate(teacher, task)["top1"],
        "seconds": time.process_time() - began,
    }


def key(options: argparse.Namespace, arm: str, losses: Any, seed: int) -> str:
    """Name a run by all that decides its result."""
    settings = {k: getattr(options, k) for k in ("task", "student", "teacher", "width", "epochs")}
    settings |= {"learning_rate": options.learning_rate, "batch_size": options.batch_size}
    settings |= {"losses": [loss_to_dict(loss) for loss in losses or []], "arm": arm}
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=6)
    return f"{options.task}-{arm}-{seed}-{digest.hexdigest()}"


def table(options: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> str:
    """Give a row an arm: mean, gain over the student alone by seed, and its standard deviation."""
    alone = {row["seed"]: row["top1"] for row in found.get(TRAINED_ALONE, [])}
    lines = [
        "| taught by | seeds | top-1, % | deviation | gain, points | its deviation | of each seed"
        " | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm, rows in found.items():
        gains = [row["top1"] - alone[row["seed"]] for row in rows if row["seed"] in alone]
        taught = arm != TRAINED_ALONE
        mean = f"{statistics.mean(gains):+.2f}" if gains and taught else ""
        spread = f"{statistics.stdev(gains):.2f}" if len(gains) > 1 and taught else ""
        each = ", ".join(f"{gain:+.2f}" for gain in gains) if taught else ""
        reached = [row["top1"] for row in rows]
        top1 = statistics.mean(reached)
        around = f"{statistics.stdev(reached):.2f}" if len(reached) > 1 else ""
        seconds = statistics.mean(row["seconds"] for row in rows)
        name = arm if taught else "nobody"
        lines.append(
            f"| {name} | {len(rows)} | {top1:.2f} | {around} | {mean} | {spread} | {each} "
            f"| {seconds:.0f} |"
        )
    teacher = statistics.mean(row["teacher_top1"] for rows in found.values() for row in rows)
    lines += [
        "",
        f"{options.task}: {options.student} of width {options.width:g} from random weights, "
        f"{options.epochs} epochs, batches of {options.batch_size}, momentum, learning rate "
        f"{options.learning_rate:g}; the teacher is {options.teacher} with {teacher:.2f} %.",
    ]
    return "\n".join(lines)


def put(text: str, path: Path) -> None:
    """Write a table between the two marks of a page."""
    before, _, rest = path.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that are not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--student", default="vgg")
    parser.add_argument("--teacher", default="resnet20")
    parser.add_argument("--width", type=float, default=4, help="of the student")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arm", action="append", help="only this one; may be repeated")
    parser.add_argument("--results", type=Path, default=Path("distillation-results"))
    parser.add_argument("--table", type=Path, help="a page that gets the table between its marks")
    parser.add_argument("--at-most", type=int, default=10**6, help="new runs before the table")
    options = parser.parse_args(arguments)
    task = sl.load_task(options.task)
    options.width = int(options.width) if options.student != "mobilenet_v1" else options.width
    student = sl.load_model(options.student, task, pretrained=False, width=options.width)
    ways = arms(student, sl.load_model(options.teacher, task), task)
    options.results.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    made = 0
    for seed in options.seeds:  # seed by seed, so that a stopped benchmark compares like with like
        for arm, losses in ways.items():
            if options.arm and arm not in options.arm:
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
    if found:
        text = table(options, found)
        print(text)
        if options.table is not None:
            put(text, options.table)


if __name__ == "__main__":
    main()
