// Accuracy against what it costs: one mark a trial, the Pareto front as a line.
import { KEYS, attrs, h, onResize, s, show, text } from "./dom";
import { bytes, capital, count, metricLabel, ms, score } from "./format";
import { type Scale, linear, steps } from "./scale";
import type { ComparisonView, TrialRow } from "./types";

export type Axis = "macs" | "bytes" | "params" | "latency";

export const AXES: Record<Axis, { label: string; format: (x: number) => string }> = {
  macs: { label: "MACs (multiply-adds per image)", format: count },
  bytes: { label: "Size on disk (bytes)", format: bytes },
  params: { label: "Parameters", format: count },
  latency: { label: "Latency (ms per batch, median)", format: ms },
};

const MARGIN = { top: 22, right: 24, bottom: 44, left: 56 };
const HEIGHT = 300;
const RADIUS = 6;

interface Box { x0: number; y0: number; x1: number; y1: number }
const overlaps = (a: Box, b: Box): boolean => a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;

/** A place for each label beside its mark that covers neither a mark nor an earlier label. */
export function placeLabels(marks: { x: number; y: number; text: string }[], width: number): { x: number; y: number }[] {
  const taken: Box[] = marks.map((m) => ({ x0: m.x - 7, y0: m.y - 7, x1: m.x + 7, y1: m.y + 7 }));
  return marks.map((m) => {
    const w = m.text.length * 6.6 + 4;
    // Above first: the line of the front leaves a mark to its right.
    const spots = [[8, -8], [-8 - w, -8], [-w / 2, -12], [8, 18], [-8 - w, 18], [-w / 2, 22], [10, 4], [-10 - w, 4], [-w / 2, -26], [-w / 2, 34]];
    const boxes = spots.map(([dx, dy]) => ({ x0: m.x + dx, y0: m.y + dy - 11, x1: m.x + dx + w, y1: m.y + dy + 3 }));
    const inside = (b: Box) => b.x0 >= 2 && b.x1 <= width - 2 && b.y0 >= 0 && b.y1 <= HEIGHT - MARGIN.bottom + 2;
    const free = boxes.findIndex((b) => inside(b) && !taken.some((t) => overlaps(t, b)));
    const chosen = boxes[free >= 0 ? free : Math.max(0, boxes.findIndex(inside))];
    taken.push(chosen);
    return { x: chosen.x0, y: chosen.y1 - 3 };
  });
}

export class Scatter {
  readonly el: HTMLElement;
  private svg = s("svg", { class: "slim-plot slim-scatter", role: "img", height: HEIGHT });
  private title = s("title");
  private grid = s("g", { class: "slim-grid" });
  private front = s("path", { class: "slim-front" });
  private whiskers = s("g", { class: "slim-whiskers" });
  private marks = s("g", { class: "slim-trials" });
  private labels = s("g", { class: "slim-labels" });
  private width = 640;
  private view: ComparisonView = {};
  private axis: Axis = "macs";
  private chosen = "";
  private brushed: string[] = [];
  private brush = s("rect", { class: "slim-brush", hidden: true });
  private from: [number, number] | null = null;
  private at = new Map<string, [number, number]>();
  readonly stop: () => void;

  constructor(private choose: (name: string) => void, private select: (names: string[]) => void = () => undefined) {
    this.el = h("div", { class: "slim-plot-box" }, this.svg);
    this.svg.append(this.title, this.grid, this.brush, this.front, this.whiskers, this.marks, this.labels);
    this.svg.addEventListener("pointerdown", (e) => this.press(e));
    this.svg.addEventListener("pointermove", (e) => this.drag(e));
    this.svg.addEventListener("pointerup", () => this.release());
    this.svg.addEventListener("pointercancel", () => this.release());
    this.stop = onResize(this.el, (width) => {
      this.width = width;
      this.draw();
    });
  }

  update(view: ComparisonView, axis: Axis, chosen: string, brushed: string[] = []): void {
    Object.assign(this, { view, axis, chosen, brushed });
    this.draw();
  }

  private place(e: PointerEvent): [number, number] {
    const box = this.svg.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  private press(e: PointerEvent): void {
    if (e.button !== 0 || (e.target as Element).closest?.(".slim-trial")) return;
    this.from = this.place(e);
    this.svg.setPointerCapture?.(e.pointerId);
    e.preventDefault();
  }

  /** What the rectangle under the hand holds is highlighted as it grows. */
  private drag(e: PointerEvent): void {
    if (!this.from) return;
    if (e.buttons === 0) return this.release();
    const [[x0, y0], [x1, y1]] = [this.from, this.place(e)];
    const box = { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
    attrs(this.brush, box);
    show(this.brush, true);
    const inside = [...this.at].filter(([, [x, y]]) => x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height).map(([name]) => name);
    if (inside.join("\n") !== this.brushed.join("\n")) this.select(inside);
  }

  private release(): void {
    // A click beside all marks lets go of them.
    if (this.from && this.brush.hasAttribute("hidden")) this.select([]);
    this.from = null;
    show(this.brush, false);
  }

  private draw(): void {
    const rows = (this.view.rows ?? []).filter((r) => r[this.axis] !== null && Number.isFinite(r.score));
    show(this.el, rows.length > 0);
    if (!rows.length) return;
    const cost = (r: TrialRow): number => r[this.axis] as number;
    const scores = rows.map((r) => r.score);
    const spread = Math.max(...scores) - Math.min(...scores) || 1;
    const most = Math.max(...rows.map((r) => (this.axis === "latency" ? r.latency_high ?? cost(r) : cost(r))));
    const x = linear([0, most * 1.08], [MARGIN.left, this.width - MARGIN.right]);
    const y = linear([Math.min(...scores) - 0.12 * spread, Math.max(...scores) + 0.12 * spread],
      [HEIGHT - MARGIN.bottom, MARGIN.top]);
    this.axes(x, y);
    const falls = this.view.metric !== "loss";
    const pareto = rows.filter((r) => !rows.some((o) => o !== r && cost(o) <= cost(r) &&
      (falls ? o.score >= r.score : o.score <= r.score) && (cost(o) < cost(r) || o.score !== r.score)));
    pareto.sort((a, b) => cost(a) - cost(b));
    const front = pareto.map((r): [number, number] => [x(cost(r)), y(r.score)]);
    attrs(this.front, { d: front.length > 1 ? steps(front) : "" });
    this.drawMarks(rows, pareto, x, y, cost);
    text(this.title, `${capital(metricLabel(this.view.metric, this.view.unit))} against ${AXES[this.axis].label}: ${rows.length} models`);
  }

  private drawMarks(rows: TrialRow[], pareto: TrialRow[], x: Scale, y: Scale, cost: (r: TrialRow) => number): void {
    const at = rows.map((r) => ({ x: x(cost(r)), y: y(r.score), text: r.name }));
    this.at = new Map(at.map((m) => [m.text, [m.x, m.y]]));
    this.whiskers.replaceChildren(...(this.axis === "latency" ? rows : []).filter((r) => r.latency_low !== null).map((r) =>
      s("line", { x1: x(r.latency_low!), x2: x(r.latency_high!), y1: y(r.score), y2: y(r.score) })));
    this.marks.replaceChildren(...rows.map((r, i) => {
      const kind = `slim-trial${pareto.includes(r) ? " slim-pareto" : ""}${r.name === this.chosen ? " slim-chosen" : ""}${this.brushed.includes(r.name) ? " slim-brushed" : ""}`;
      const pick = () => this.pick(r.name);
      const title = `${r.name}: ${score(r.score, this.view.unit ?? "")} at ${AXES[this.axis].format(cost(r))}`;
      return s("circle", { class: kind, cx: at[i].x, cy: at[i].y, r: RADIUS, "data-trial": r.name, tabindex: 0, role: "button",
        "aria-label": title, ...KEYS, click: pick,
        keydown: (e: KeyboardEvent) => { e.stopPropagation(); if (e.key === "Enter" || e.key === " ") { e.preventDefault(); pick(); } } },
        s("title", {}, title));
    }));
    const spots = placeLabels(at, this.width);
    this.labels.replaceChildren(...rows.map((r, i) => s("text", { x: spots[i].x, y: spots[i].y }, r.name)));
  }

  /** A click takes all models whose marks lie on one another, and chooses the next of them: none stays hidden under another. */
  private pick(name: string): void {
    const [x, y] = this.at.get(name)!;
    const here = [...this.at].filter(([, [a, b]]) => Math.hypot(a - x, b - y) < RADIUS).map(([one]) => one);
    const next = here.includes(this.chosen) ? here[(here.indexOf(this.chosen) + 1) % here.length] : name;
    this.choose(next);
    this.select(here);
  }

  private axes(x: Scale, y: Scale): void {
    attrs(this.svg, { width: this.width, viewBox: `0 0 ${this.width} ${HEIGHT}` });
    const [right, bottom] = [this.width - MARGIN.right, HEIGHT - MARGIN.bottom];
    const { format, label } = AXES[this.axis];
    const parts: Node[] = x.ticks(Math.max(3, Math.floor(this.width / 110))).map((tick: number) =>
      s("text", { x: x(tick), y: bottom + 17, "text-anchor": "middle" }, tick === 0 ? "0" : format(tick)));
    for (const tick of y.ticks(5)) {
      parts.push(s("line", { x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick), class: "slim-rule" }));
      parts.push(s("text", { x: MARGIN.left - 7, y: y(tick) + 4, "text-anchor": "end" }, y.format(5)(tick)));
    }
    parts.push(
      s("text", { x: (MARGIN.left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle", class: "slim-axis" }, label),
      s("text", { transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "slim-axis" },
        capital(metricLabel(this.view.metric, this.view.unit))),
    );
    this.grid.replaceChildren(...parts);
  }
}
