// All sensitivity curves on one plot. Hover names a layer, a click selects it, a point can be dragged along its curve.
import { layerStyle } from "./colour";
import { interpolate, valueAt } from "./cost";
import { KEYS, attrs, h, onResize, s, show, text } from "./dom";
import { capital, fixed, metricLabel, metricName, score } from "./format";
import { type Scale, band, line, linear, rounded } from "./scale";
import type { Curve, CurvesView } from "./types";
import { byLayer } from "./unpack";

export interface CurvesEvents {
  select(layer: string): void;
  /** Undefined where the plot only shows. */
  ratio?(layer: string, ratio: number): void;
  /** Holds the grabbed curve, so that a drag goes on when the plot is drawn anew. */
  hand?: { grabbed: Grabbed | null };
}

export interface Grabbed { layer: string; x: number; y: number; moved: boolean }

const MARGIN = { top: 12, right: 14, bottom: 42, left: 52 };
const HEIGHT = 320;
const NEAR = 26; // pixels within which a curve counts as pointed at
const DRAG = 3; // pixels a pointer moves before a click becomes a drag
export const FINE = 0.01;
export const COARSE = 0.05;

export const snap = (ratio: number, step = FINE): number => Math.round(Math.round(ratio / step) * step * 1e6) / 1e6;

/** What an arrow key does to a ratio; null for other keys. */
export function keyRatio(key: string, shift: boolean, ratio: number, most: number): number | null {
  const step = shift ? FINE : COARSE;
  if (key === "ArrowRight" || key === "ArrowUp") return Math.min(most, snap(ratio + step));
  if (key === "ArrowLeft" || key === "ArrowDown") return Math.max(0, snap(ratio - step));
  if (key === "Home") return 0;
  if (key === "End") return most;
  return null;
}

export class CurvesPlot {
  readonly el: HTMLElement;
  private svg = s("svg", { class: "slim-plot", role: "img", height: HEIGHT });
  private title = s("title");
  private grid = s("g", { class: "slim-grid" });
  private band = s("path", { class: "slim-band" });
  private lines = s("g", { class: "slim-lines" });
  private baseline = s("g", { class: "slim-baseline" });
  private marks = s("g", { class: "slim-marks" });
  private dots = s("g", { class: "slim-dots" });
  /** What a hand moves lies on a sheet of its own: the curves under it need not be drawn again. */
  private over = s("svg", { class: "slim-plot slim-over", height: HEIGHT });
  private handle = s("circle", { class: "slim-handle", r: 7, tabindex: 0, role: "slider", ...KEYS });
  private tip = h("div", { class: "slim-tip", hidden: true });
  private empty = h("div", { class: "slim-empty" });
  private caption = h("div", { class: "slim-caption", "aria-live": "off" });
  private paths = new Map<string, { el: SVGPathElement; curve: Curve | null; frame: string }>();
  private points = new Map<string, SVGCircleElement>();
  private width = 640;
  private view: CurvesView = {};
  private byLayer = new Map<string, Curve>();
  private ratios: Record<string, number> = {};
  private selected: string | null = null;
  private hovered: string | null = null;
  private hand: { grabbed: Grabbed | null };
  private x: Scale = linear([0, 1], [0, 1]);
  private y: Scale = linear([0, 1], [0, 1]);
  readonly stop: () => void;

  constructor(private events: CurvesEvents, private hint: string) {
    this.hand = events.hand ?? { grabbed: null };
    const plot = h("div", { class: "slim-plot-box" }, this.svg, this.over, this.tip, this.empty);
    this.el = h("div", { class: "slim-curves" }, this.caption, plot);
    this.svg.append(this.title, this.grid, this.band, this.lines, this.baseline, this.marks);
    this.over.append(this.dots, this.handle);
    this.svg.addEventListener("pointerdown", (e) => this.press(e));
    this.svg.addEventListener("pointermove", (e) => this.move(e));
    this.svg.addEventListener("pointerup", (e) => this.release(e));
    this.svg.addEventListener("pointercancel", (e) => this.release(e));
    this.svg.addEventListener("pointerleave", () => this.hover(null));
    this.handle.addEventListener("keydown", (e) => this.key(e));
    this.stop = onResize(plot, (width) => {
      this.width = width;
      this.draw();
    });
  }

  update(view: CurvesView, ratios: Record<string, number>, selected: string | null): void {
    const redraw = view !== this.view || selected !== this.selected;
    this.view = view;
    this.ratios = ratios;
    this.selected = selected;
    if (redraw) {
      this.byLayer = byLayer(view);
      this.draw();
    } else this.drawPicks();
  }

  /** The largest ratio that was measured for a layer: beyond it the curve says nothing. */
  reach(layer: string): number {
    const points = this.byLayer.get(layer)?.points ?? [];
    return points.length ? points[points.length - 1].ratio : 0;
  }

  private at(curve: Curve, ratio: number): [number, number] {
    return [this.x(ratio), this.y(valueAt(curve, this.view.baseline ?? 0, ratio))];
  }

  private knots(curve: Curve): [number, number][] {
    const points = curve.points.map((p): [number, number] => [this.x(p.ratio), this.y(p.value)]);
    return [[this.x(0), this.y(this.view.baseline ?? 0)], ...points];
  }

  private draw(): void {
    const curves = this.view.curves ?? [];
    const some = curves.length > 0;
    show(this.empty, !some);
    show(this.caption, some);
    for (const g of [this.band, this.lines, this.baseline, this.marks, this.dots, this.handle]) show(g, some);
    text(this.empty, this.hint);
    this.setScales(curves);
    this.drawAxes();
    const order = this.view.layers ?? curves.map((c) => c.layer);
    for (const [layer, path] of this.paths) {
      if (!this.byLayer.has(layer)) {
        path.el.remove();
        this.paths.delete(layer);
      }
    }
    const frame = [...this.x.domain, ...this.x.range, ...this.y.domain, this.view.baseline].join(" ");
    for (const curve of curves) {
      let path = this.paths.get(curve.layer);
      if (!path) {
        const style = layerStyle(order.indexOf(curve.layer), order.length);
        path = { el: s("path", { class: "slim-curve", "data-layer": curve.layer, style }), curve: null, frame };
        this.paths.set(curve.layer, path);
        this.lines.append(path.el);
      }
      if (path.curve === curve && path.frame === frame) continue;
      Object.assign(path, { curve, frame });
      attrs(path.el, { d: line(this.knots(curve)), "data-points": curve.points.length });
    }
    this.drawBaseline();
    this.drawSelected(order);
    this.drawPicks();
    const seen = curves.map((c) => c.points.length).reduce((a, b) => a + b, 0);
    text(
      this.title,
      `Sensitivity: ${metricName(this.view.metric)} against ${this.view.bits ? "bits of the weights" : "pruning ratio"}, ${curves.length} layers, ${seen} measurements`,
    );
  }

  private setScales(curves: Curve[]): void {
    const values = curves.flatMap((c) => c.points.map((p) => p.value));
    const base = this.view.baseline;
    if (base !== undefined && base !== null) values.push(base);
    const chosen = this.selected ? this.byLayer.get(this.selected) : undefined;
    for (const p of chosen?.points ?? []) values.push(p.low, p.high);
    let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 100];
    if (high - low < 1e-9) [low, high] = [low - 1, high + 1];
    const most = Math.max(0.9, ...(this.view.ratios ?? []));
    this.x = linear([0, most], [MARGIN.left, this.width - MARGIN.right]);
    const percent = this.view.unit === "%";
    const [bottom, top] = rounded([low, high], 6);
    // No accuracy is above 100 %, whatever an interval says; the band ends at the frame.
    const ends: [number, number] = percent ? [Math.max(0, bottom), Math.min(100, top)] : [bottom, top];
    this.y = linear(ends, [HEIGHT - MARGIN.bottom, MARGIN.top], percent);
  }

  private drawAxes(): void {
    for (const sheet of [this.svg, this.over]) attrs(sheet, { width: this.width, viewBox: `0 0 ${this.width} ${HEIGHT}` });
    const [left, right, bottom] = [MARGIN.left, this.width - MARGIN.right, HEIGHT - MARGIN.bottom];
    const parts: Node[] = [];
    for (const [tick, name] of this.ticks()) {
      const x = this.x(tick);
      parts.push(s("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4, class: "slim-tick" }));
      parts.push(s("text", { x, y: bottom + 17, "text-anchor": "middle" }, name));
    }
    for (const tick of this.y.ticks(6)) {
      const y = this.y(tick);
      parts.push(s("line", { x1: left, x2: right, y1: y, y2: y, class: "slim-rule" }));
      parts.push(s("text", { x: left - 7, y: y + 4, "text-anchor": "end" }, this.y.format(6)(tick)));
    }
    const middle = (MARGIN.top + bottom) / 2;
    parts.push(
      s("text", { x: (left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle", class: "slim-axis" },
        this.view.bits ? "Bits of a layer's weights" : "Pruning ratio (share of a layer's channels removed)"),
      s("text", { transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle", class: "slim-axis" },
        capital(metricLabel(this.view.metric ?? "top1", this.view.unit ?? "%"))),
    );
    this.grid.replaceChildren(...parts);
  }

  /** Places on the axis and what stands there: ratios, or bits where those were scanned. */
  private ticks(): [number, string][] {
    const { bits, ratios } = this.view;
    if (bits && ratios) return [[0, "32"], ...ratios.map((ratio, i): [number, string] => [ratio, String(bits[i])])];
    return this.x.ticks(Math.min(10, Math.floor(this.width / 60))).map((tick) => [tick, tick.toFixed(1)]);
  }

  private drawBaseline(): void {
    const base = this.view.baseline;
    if (base === undefined || base === null) return this.baseline.replaceChildren();
    const y = this.y(base);
    this.baseline.replaceChildren(
      s("line", { x1: MARGIN.left, x2: this.width - MARGIN.right, y1: y, y2: y }),
    );
  }

  private drawSelected(order: string[]): void {
    for (const [layer, { el }] of this.paths) el.classList.toggle("slim-selected", layer === this.selected);
    const curve = this.selected ? this.byLayer.get(this.selected) : undefined;
    if (!curve) {
      this.band.removeAttribute("d");
      this.marks.replaceChildren();
      show(this.handle, false);
      return this.drawCaption();
    }
    const style = layerStyle(order.indexOf(curve.layer), order.length);
    for (const el of [this.band, this.marks, this.handle]) el.setAttribute("style", style);
    const base = this.view.baseline ?? 0;
    const start = { ratio: 0, low: base, high: base };
    const points = [start, ...curve.points];
    const side = (end: "low" | "high") => points.map((p): [number, number] => [this.x(p.ratio), this.y(p[end])]);
    this.band.setAttribute("d", band(side("high"), side("low")));
    this.marks.replaceChildren(
      ...curve.points.map((p) => s("circle", { cx: this.x(p.ratio), cy: this.y(p.value), r: 2.5 })),
    );
    const path = this.paths.get(curve.layer)?.el;
    if (path && this.lines.lastChild !== path) this.lines.append(path); // on top of the others
  }

  private drawPicks(): void {
    const order = this.view.layers ?? [];
    order.forEach((layer, n) => {
      const curve = this.byLayer.get(layer);
      const ratio = curve && layer !== this.selected ? this.ratios[layer] ?? 0 : 0;
      const known = this.points.get(layer);
      if (!curve || ratio <= 0) {
        known?.remove();
        this.points.delete(layer);
        return;
      }
      const dot = known ?? s("circle", { r: 4, class: "slim-dot", "data-layer": layer, style: layerStyle(n, order.length) });
      const [cx, cy] = this.at(curve, ratio);
      attrs(dot, { cx, cy });
      if (!known) {
        this.points.set(layer, dot);
        this.dots.append(dot);
      }
    });
    const curve = this.selected ? this.byLayer.get(this.selected) : undefined;
    show(this.handle, !!curve && !!this.events.ratio);
    if (curve) this.placeHandle(curve);
    this.drawCaption();
  }

  private placeHandle(curve: Curve): void {
    const ratio = this.ratios[curve.layer] ?? 0;
    const [cx, cy] = this.at(curve, ratio);
    attrs(this.handle, {
      cx, cy,
      "data-layer": curve.layer, "data-ratio": ratio,
      "aria-label": `Pruning ratio of ${curve.layer}`,
      "aria-valuemin": 0, "aria-valuemax": this.reach(curve.layer), "aria-valuenow": ratio,
      "aria-valuetext": `${ratio.toFixed(2)}, ${this.reading(curve, ratio)}`,
    });
  }

  private reading(curve: Curve, ratio: number): string {
    const unit = this.view.unit ?? "";
    const value = score(valueAt(curve, this.view.baseline ?? 0, ratio), unit);
    return `${value}, predicted drop ${fixed(interpolate(curve.fit, ratio), 1)} points`;
  }

  private drawCaption(): void {
    const base = this.view.baseline;
    const layer = this.hovered ?? this.selected;
    const curve = layer ? this.byLayer.get(layer) : undefined;
    const first = base === undefined || base === null ? "" : `Dashed line: ${this.view.bits ? "in float" : "nothing pruned"}, ${score(base, this.view.unit ?? "")}.`;
    const hint = this.events.ratio ? " Click a curve, then drag its point or use the arrow keys." : " Click a curve to see its interval.";
    if (!curve) return text(this.caption, first + hint);
    const ratio = this.ratios[curve.layer] ?? 0;
    const about = this.events.ratio
      ? `${curve.layer} at ${ratio.toFixed(2)}: ${this.reading(curve, ratio)}`
      : `${curve.layer}: ${curve.points.length} ${this.view.bits ? "grids" : "ratios"} measured, shaded: 95 % interval`;
    text(this.caption, about);
    this.caption.title = about;
  }

  /** The curve nearest to a place on the plot, if any is near. */
  private nearest(px: number, py: number): string | null {
    let best: string | null = null;
    let least = NEAR;
    const base = this.view.baseline ?? 0;
    for (const [layer, curve] of this.byLayer) {
      const ratio = Math.min(Math.max(0, this.x.invert(px)), this.reach(layer));
      const onDot = Math.hypot(...minus(this.at(curve, this.ratios[layer] ?? 0), px, py)) - 6;
      const onLine = Math.hypot(px - this.x(ratio), py - this.y(valueAt(curve, base, ratio)));
      // A tie goes to the selected layer, so that its point can be taken out of a bundle of curves.
      const distance = Math.min((this.ratios[layer] ?? 0) > 0 ? onDot : onLine, onLine) - (layer === this.selected ? 4 : 0);
      if (distance < least) [best, least] = [layer, distance];
    }
    return best;
  }

  private place(e: PointerEvent): [number, number] {
    const box = this.svg.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  private press(e: PointerEvent): void {
    const [px, py] = this.place(e);
    const layer = this.nearest(px, py);
    if (!layer || e.button !== 0) return;
    this.hand.grabbed = { layer, x: px, y: py, moved: false };
    this.svg.setPointerCapture?.(e.pointerId);
    this.events.select(layer);
    if (this.events.ratio) this.handle.focus({ preventScroll: true });
    e.preventDefault();
  }

  private move(e: PointerEvent): void {
    const [px, py] = this.place(e);
    if (e.buttons === 0) this.hand.grabbed = null; // the button came up elsewhere
    if (!this.hand.grabbed || !this.events.ratio) return this.hover(this.nearest(px, py), px, py);
    if (!this.hand.grabbed.moved && Math.hypot(px - this.hand.grabbed.x, py - this.hand.grabbed.y) < DRAG) return;
    this.hand.grabbed.moved = true;
    this.hover(null);
    const most = this.reach(this.hand.grabbed.layer);
    this.events.ratio(this.hand.grabbed.layer, Math.min(most, Math.max(0, snap(this.x.invert(px)))));
  }

  private release(e: PointerEvent): void {
    this.svg.releasePointerCapture?.(e.pointerId);
    this.hand.grabbed = null;
  }

  private hover(layer: string | null, px = 0, py = 0): void {
    if (layer !== this.hovered) {
      if (this.hovered) this.paths.get(this.hovered)?.el.classList.remove("slim-hovered");
      if (layer) this.paths.get(layer)?.el.classList.add("slim-hovered");
      this.hovered = layer;
      this.svg.classList.toggle("slim-hovering", !!layer);
      this.drawCaption();
    }
    const curve = layer ? this.byLayer.get(layer) : undefined;
    show(this.tip, !!curve);
    if (!curve) return;
    const ratio = Math.min(Math.max(0, this.x.invert(px)), this.reach(curve.layer));
    const drop = fixed(interpolate(curve.fit, ratio), 1);
    this.tip.replaceChildren(
      h("b", {}, curve.layer),
      h("span", {}, `ratio ${ratio.toFixed(2)} → ${score(valueAt(curve, this.view.baseline ?? 0, ratio), this.view.unit ?? "")}`),
      h("span", {}, `drop ${drop} points`),
    );
    const left = px > this.width * 0.6;
    this.tip.style.cssText = `top:${Math.max(0, py - 64)}px;${left ? `right:${this.width - px + 12}px` : `left:${px + 12}px`}`;
  }

  private key(e: KeyboardEvent): void {
    e.stopPropagation();
    const layer = this.selected;
    if (!layer || !this.events.ratio) return;
    if (e.key === "ArrowUp" || e.key === "ArrowDown") {
      const order = (this.view.layers ?? []).filter((l) => this.byLayer.has(l));
      const next = order[order.indexOf(layer) + (e.key === "ArrowDown" ? 1 : -1)];
      if (next) this.events.select(next);
      return e.preventDefault();
    }
    const ratio = keyRatio(e.key, e.shiftKey, this.ratios[layer] ?? 0, this.reach(layer));
    if (ratio === null) return;
    e.preventDefault();
    this.events.ratio(layer, ratio);
  }
}

function minus([x, y]: [number, number], px: number, py: number): [number, number] {
  return [x - px, y - py];
}
