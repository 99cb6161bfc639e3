// Predicted against measured: was the sum of the curves right about the network that was cut?
import { attrs, h, onResize, s, show, text } from "./dom";
import { fixed } from "./format";
import { type Scale, linear } from "./scale";
import { placeLabels } from "./scatter";
import type { ComparisonView, TrialRow } from "./types";

const MARGIN = { top: 22, right: 24, bottom: 44, left: 56 };
const HEIGHT = 300;
interface Known extends TrialRow { predicted: number; cut_drop: number }

export class Predicted {
  readonly el: HTMLElement;
  private svg = s("svg", { class: "slim-plot slim-predicted", role: "img", height: HEIGHT });
  private title = s("title");
  private grid = s("g", { class: "slim-grid" });
  private equal = s("line", { class: "slim-equal" });
  private marks = s("g", { class: "slim-trials" });
  private labels = s("g", { class: "slim-labels" });
  private empty = h("div", { class: "slim-empty" }, "Nothing to compare with the prediction yet: press Compare after Prune and before Fine-tune, with a scan at hand.");
  private width = 640;
  private view: ComparisonView = {};
  private chosen = "";
  readonly stop: () => void;

  constructor(private choose: (name: string) => void) {
    this.el = h("div", { class: "slim-plot-box" }, this.svg, this.empty);
    this.svg.append(this.title, this.grid, this.equal, this.marks, this.labels);
    this.stop = onResize(this.el, (width) => { this.width = width; this.draw(); });
  }

  update(view: ComparisonView, chosen: string): void {
    Object.assign(this, { view, chosen });
    this.draw();
  }

  private draw(): void {
    const known = (r: TrialRow): r is Known => typeof r.predicted === "number" && typeof r.cut_drop === "number";
    const rows = (this.view.rows ?? []).filter(known);
    show(this.empty, !rows.length);
    attrs(this.svg, { width: this.width, viewBox: `0 0 ${this.width} ${HEIGHT}` });
    for (const part of [this.equal, this.marks, this.labels]) show(part, rows.length > 0);
    const ends = rows.flatMap((r) => [r.predicted, r.cut_drop]);
    const [low, high] = [Math.min(0, ...ends), Math.max(1, ...ends)];
    const x = linear([low, high + 0.06 * (high - low)], [MARGIN.left, this.width - MARGIN.right]);
    const y = linear([low, high + 0.06 * (high - low)], [HEIGHT - MARGIN.bottom, MARGIN.top]);
    this.axes(x, y);
    attrs(this.equal, { x1: x(low), y1: y(low), x2: x(high), y2: y(high) });
    const at = rows.map((r) => ({ x: x(r.predicted), y: y(r.cut_drop), text: r.name }));
    this.marks.replaceChildren(...rows.map((r, i) => s("circle", {
      class: `slim-trial${r.name === this.chosen ? " slim-chosen" : ""}`, cx: at[i].x, cy: at[i].y, r: 6, "data-predicted": r.name, click: () => this.choose(r.name),
    }, s("title", {}, `${r.name}: predicted ${fixed(r.predicted, 1)}, measured ${fixed(r.cut_drop, 1)} points`))));
    const spots = placeLabels(at, this.width);
    this.labels.replaceChildren(...rows.map((r, i) => s("text", { x: spots[i].x, y: spots[i].y }, r.name)));
    text(this.title, `Measured against predicted drop of ${rows.length} pruned models: ${rows.map((r) => `${r.name} ${fixed(r.predicted, 1)} predicted, ${fixed(r.cut_drop, 1)} measured`).join("; ")}`);
  }

  private axes(x: Scale, y: Scale): void {
    const [right, bottom] = [this.width - MARGIN.right, HEIGHT - MARGIN.bottom];
    const parts: Node[] = x.ticks(Math.max(3, Math.floor(this.width / 110))).map((tick: number) => s("text", { x: x(tick), y: bottom + 17, "text-anchor": "middle" }, x.format(6)(tick)));
    for (const tick of y.ticks(5)) {
      parts.push(s("line", { x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick), class: "slim-rule" }));
      parts.push(s("text", { x: MARGIN.left - 7, y: y(tick) + 4, "text-anchor": "end" }, y.format(5)(tick)));
    }
    parts.push(
      s("text", { x: (MARGIN.left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle", class: "slim-axis" }, "Predicted drop (points)"),
      s("text", { transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "slim-axis" }, "Measured drop after the cut (points)"),
    );
    this.grid.replaceChildren(...parts);
  }
}
