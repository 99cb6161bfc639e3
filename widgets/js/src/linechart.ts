// One quantity against training steps, growing while it is measured.
import { attrs, h, onResize, s, show, text } from "./dom";
import { type Scale, line, linear, rounded } from "./scale";

export interface LineChartProps {
  points: [number, number][];
  steps: number;
  label: string;
  empty: string;
  /** Few points that each matter (an evaluation) rather than a dense series. */
  marks: boolean;
  format: (value: number) => string;
}

const MARGIN = { top: 14, right: 16, bottom: 40, left: 66 };
const HEIGHT = 260;

export class LineChart {
  readonly el: HTMLElement;
  private svg = s("svg", { class: "slim-plot", role: "img", height: HEIGHT });
  private title = s("title");
  private grid = s("g", { class: "slim-grid" });
  private path = s("path", { class: "slim-series" });
  private marks = s("g", { class: "slim-series-marks" });
  private last = s("text", { class: "slim-last" });
  private empty = h("div", { class: "slim-empty" });
  private width = 420;
  private props: LineChartProps | null = null;
  readonly stop: () => void;

  constructor(readonly name: string) {
    this.el = h("div", { class: "slim-plot-box slim-linechart", "data-chart": name }, this.svg, this.empty);
    this.svg.append(this.title, this.grid, this.path, this.marks, this.last);
    this.stop = onResize(this.el, (width) => {
      this.width = width;
      this.draw();
    });
  }

  update(props: LineChartProps): void {
    this.props = props;
    this.draw();
  }

  private draw(): void {
    const props = this.props;
    if (!props) return;
    const points = props.points.filter(([, v]) => Number.isFinite(v));
    const some = points.length > 0;
    show(this.empty, !some);
    text(this.empty, props.empty);
    for (const g of [this.path, this.marks, this.last]) show(g, some);
    const values = points.map(([, v]) => v);
    let [low, high] = some ? [Math.min(...values), Math.max(...values)] : [0, 1];
    if (high - low < 1e-9) [low, high] = low > 0 ? [0, 2 * low] : [low - 0.5, high + 0.5];
    const most = Math.max(1, props.steps, some ? points[points.length - 1][0] : 0);
    const x = linear([0, most], [MARGIN.left, this.width - MARGIN.right]);
    const y = linear(rounded([low, high], 5), [HEIGHT - MARGIN.bottom, MARGIN.top]);
    this.axes(x, y, props.label, some);
    const at = points.map(([step, v]): [number, number] => [x(step), y(v)]);
    attrs(this.path, { d: line(at) });
    this.marks.replaceChildren(...(props.marks ? at.map(([cx, cy]) => s("circle", { cx, cy, r: 3.5 })) : []));
    if (some) {
      const [px, py] = at[at.length - 1];
      const right = px > this.width - 90;
      const below = py < MARGIN.top + 18;
      attrs(this.last, { x: px + (right ? -8 : 8), y: py + (below ? 18 : -8), "text-anchor": right ? "end" : "start" });
      text(this.last, props.format(values[values.length - 1]));
    }
    attrs(this.el, { "data-points": points.length });
    text(this.title, some ? `${props.label}: ${points.length} points, last ${props.format(values[values.length - 1])}` : props.empty);
  }

  private axes(x: Scale, y: Scale, label: string, some: boolean): void {
    attrs(this.svg, { width: this.width, viewBox: `0 0 ${this.width} ${HEIGHT}` });
    const [right, bottom] = [this.width - MARGIN.right, HEIGHT - MARGIN.bottom];
    const parts: Node[] = [];
    for (const tick of some ? x.ticks(Math.max(2, Math.floor(this.width / 90))) : []) {
      if (!Number.isInteger(tick)) continue;
      parts.push(s("text", { x: x(tick), y: bottom + 17, "text-anchor": "middle" }, String(tick)));
    }
    for (const tick of some ? y.ticks(5) : []) {
      parts.push(s("line", { x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick), class: "slim-rule" }));
      parts.push(s("text", { x: MARGIN.left - 7, y: y(tick) + 4, "text-anchor": "end" }, y.format(5)(tick)));
    }
    parts.push(
      s("text", { x: (MARGIN.left + right) / 2, y: HEIGHT - 5, "text-anchor": "middle", class: "slim-axis" }, "Training step (batches)"),
      s("text", { transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "slim-axis" }, label),
    );
    this.grid.replaceChildren(...parts);
  }
}
