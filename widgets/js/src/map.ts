// The network as it was traced: layers in their order, joins, and what can't be pruned; coloured by what a layer loses.
import { keptWidth, predictedDrop } from "./cost";
import type { Context } from "./context";
import { KEYS, attrs, h, onResize, s, show, text } from "./dom";
import { fixed } from "./format";
import type { Hand } from "./hand";
import type { Cost, Curve, CurvesView, GraphView, LayerRow } from "./types";
import { byLayer } from "./unpack";

const AT = 0.5; // the ratio whose drop colours a layer
const LANE = 30;
const TOP = 16;
const STEP = { least: 15, most: 46 };

/** A layer on the map, and what it shows: nothing is touched that did not change. */
interface Mark {
  el: SVGGElement;
  kept: SVGRectElement;
  height: number;
  shown: { curve: Curve | undefined; worst: number; ratio: number; selected: boolean } | null;
}
interface Node { name: string; kind: string; column: number; lane: number }

/** Columns by the longest way from an input; lanes so that nodes of one column don't cover each other, the longest way straight. */
export function arrange(nodes: [string, string][], edges: [number, number][]): Node[] {
  const column = nodes.map(() => 0);
  const from = nodes.map(() => -1);
  const to: number[][] = nodes.map(() => []);
  const forward = edges.filter(([a, b]) => a < b); // a layer that is called twice may feed itself
  for (const [a, b] of forward) to[a].push(b);
  nodes.forEach((_, a) => { for (const b of to[a]) if (column[a] + 1 > column[b]) [column[b], from[b]] = [column[a] + 1, a]; });
  const spine = new Set<number>();
  for (let at = column.indexOf(Math.max(...column)); at >= 0; at = from[at]) spine.add(at);
  const taken = new Map<number, number>();
  return nodes.map(([name, kind], i) => {
    let lane = 0;
    if (!spine.has(i)) {
      lane = (taken.get(column[i]) ?? 0) + 1;
      taken.set(column[i], lane);
    }
    return { name, kind, column: column[i], lane };
  });
}

export class NetworkMap {
  readonly el: HTMLElement;
  private svg = s("svg", { class: "slim-map", role: "group", "aria-label": "Network map" });
  private wires = s("g", { class: "slim-wires" });
  private boxes = s("g", { class: "slim-boxes" });
  private caption = h("div", { class: "slim-caption slim-map-caption", role: "status", "aria-live": "off" });
  private legend = h("div", { class: "slim-legend" });
  private width = 800;
  private nodes: Node[] = [];
  private drawn: GraphView | null = null;
  private rows = new Map<string, LayerRow>();
  private marks = new Map<string, Mark>();
  private hovered: string | null = null;
  private step = STEP.most;
  private seen: CurvesView | null = null;
  private worst = 1;

  constructor(private ctx: Context, private hand: Hand) {
    const box = h("div", { class: "slim-map-scroll", tabindex: -1 }, this.svg);
    this.el = h("div", { class: "slim-mapbox" }, h("div", { class: "slim-map-head" }, this.caption, this.legend), box);
    this.svg.append(this.wires, this.boxes);
    ctx.onStop(onResize(this.el, (width) => { this.width = width; this.drawn = null; this.update(); }));
  }

  update(): void {
    const graph = this.ctx.get<GraphView>("graph");
    const wiring = graph.wiring;
    show(this.el, !!wiring?.nodes.length);
    if (!wiring?.nodes.length) return;
    if (graph !== this.drawn) this.build(graph);
    const curves = this.ctx.get<CurvesView>("curves");
    const known = byLayer(curves);
    if (curves !== this.seen) {
      this.seen = curves;
      this.worst = Math.max(1, ...[...known.values()].map((c) => predictedDrop(c, Math.min(AT, last(c))) ?? 0));
      this.drawLegend(known.size > 0, this.worst, curves.unit ?? "");
    }
    for (const [name, mark] of this.marks) this.paint(name, mark, known, graph.cost);
    this.drawCaption(known);
  }

  private build(graph: GraphView): void {
    this.drawn = graph;
    this.rows = new Map((graph.layers ?? []).map((r) => [r.layer, r]));
    const { nodes, edges } = graph.wiring!;
    this.nodes = arrange(nodes, edges);
    const columns = Math.max(...this.nodes.map((n) => n.column)) + 1;
    this.step = Math.max(STEP.least, Math.min(STEP.most, (this.width - 30) / columns));
    const lanes = Math.max(...this.nodes.map((n) => n.lane)) + 1;
    const [width, height] = [Math.ceil(columns * this.step + 20), TOP + lanes * LANE + 20];
    attrs(this.svg, { width, height, viewBox: `0 0 ${width} ${height}` });
    this.wires.replaceChildren(...edges.map(([a, b]) => s("path", { d: this.wire(this.nodes[a], this.nodes[b]) })));
    const widest = Math.max(1, ...(graph.cost?.widths ?? []));
    this.marks.clear();
    this.boxes.replaceChildren(...this.nodes.map((node) => this.box(node, graph.cost, widest)));
  }

  private at(node: Node): [number, number] {
    return [10 + (node.column + 0.5) * this.step, TOP + 12 + node.lane * LANE];
  }

  private wire(a: Node, b: Node): string {
    const [[x0, y0], [x1, y1]] = [this.at(a), this.at(b)];
    if (b.column - a.column === 1 && a.lane === b.lane) return `M${x0} ${y0}H${x1}`;
    // What jumps over others goes under them, on the lane between.
    const low = a.lane === b.lane ? Math.max(y0, y1) + LANE * 0.72 : Math.max(y0, y1);
    const bend = Math.min(this.step * 0.9, (x1 - x0) / 2);
    return `M${x0} ${y0}C${x0 + bend * 0.6} ${y0} ${x0 + bend * 0.4} ${low} ${x0 + bend} ${low}H${x1 - bend}C${x1 - bend * 0.4} ${low} ${x1 - bend * 0.6} ${y1} ${x1} ${y1}`;
  }

  private box(node: Node, cost: Cost | undefined, widest: number): SVGGElement {
    const [x, y] = this.at(node);
    if (node.kind !== "layer") {
      const shape = node.kind === "join" ? s("circle", { cx: x, cy: y, r: 3.5 }) : s("circle", { cx: x, cy: y, r: 4.5, class: "slim-end" });
      return s("g", { class: "slim-join", "data-node": node.name }, shape, s("title", {}, node.name.replace(/ \d+$/, "")));
    }
    const row = this.rows.get(node.name);
    const at = cost?.groups.indexOf(row?.group ?? "") ?? -1;
    const channels = at >= 0 ? cost!.widths[at] : 1;
    // Higher where there are more channels; the filled part is what is kept.
    const height = row?.prunable ? 10 + 14 * Math.sqrt(channels / widest) : 12;
    const wide = Math.min(20, this.step - 4);
    const frame = { x: x - wide / 2, y: y - height / 2, width: wide, height, rx: 2.5 };
    const [fill, kept] = [s("rect", { ...frame, class: "slim-box" }), s("rect", { ...frame, class: "slim-gone", height: 0 })];
    const free = !!row?.prunable;
    const label = free ? `${node.name}: ${channels} channels${row!.group && row!.group !== node.name ? `, tied to ${row!.group}` : ""}` : `${node.name} is frozen: ${row?.reason || "it makes no channels of its own"}`;
    const el = s("g", {
      class: `slim-node${free ? "" : " slim-frozen-node"}`, "data-node": node.name, "data-group": row?.group ?? "", "data-prunable": free ? "yes" : "no",
      role: free ? "button" : "img", "aria-label": label, ...(free ? { tabindex: 0, "data-key": `node:${node.name}` } : {}), ...KEYS,
      click: () => { if (free) this.ctx.select(row!.group || node.name); },
      keydown: (e: KeyboardEvent) => this.key(e, node.name),
      pointerenter: () => { this.hovered = node.name; this.update(); },
      pointerleave: () => { this.hovered = null; this.update(); },
      focus: () => { this.hovered = node.name; this.update(); },
      blur: () => { this.hovered = null; this.update(); },
    }, fill, kept, s("title", {}, label));
    this.marks.set(node.name, { el, kept, height, shown: null });
    return el;
  }

  private key(e: KeyboardEvent, name: string): void {
    e.stopPropagation();
    const free = [...this.marks].filter(([, m]) => m.el.dataset.prunable === "yes");
    const at = free.findIndex(([n]) => n === name);
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (by && free[at + by]) free[at + by][1].el.focus();
    else if (e.key === "Enter" || e.key === " ") this.ctx.select(this.rows.get(name)?.group || name);
    else return;
    e.preventDefault();
  }

  private paint(name: string, mark: Mark, known: Map<string, Curve>, cost: Cost | undefined): void {
    const row = this.rows.get(name);
    const group = row?.group || name;
    if (!row?.prunable) return;
    const [curve, worst] = [known.get(group), this.worst];
    const now = { curve, worst, ratio: this.hand.ratios[group] ?? 0, selected: group === this.ctx.memory.selected };
    const was = mark.shown;
    if (was && was.curve === curve && was.worst === worst && was.ratio === now.ratio && was.selected === now.selected) return;
    mark.shown = now;
    const drop = curve ? predictedDrop(curve, Math.min(AT, last(curve))) : null;
    const heat = drop === null ? "" : `${Math.round(100 * Math.min(1, Math.max(0, drop / worst)))}%`;
    if (mark.el.style.getPropertyValue("--heat") !== heat) mark.el.style.setProperty("--heat", heat);
    mark.el.classList.toggle("slim-unscanned", drop === null);
    const { ratio } = now;
    const at = cost?.groups.indexOf(group) ?? -1;
    const gone = at >= 0 ? 1 - keptWidth(cost!.widths[at], ratio) / cost!.widths[at] : 0;
    attrs(mark.kept, { height: (mark.height * gone).toFixed(1) });
    attrs(mark.el, { "data-ratio": ratio, "data-drop": drop === null ? "" : drop.toFixed(3) });
    mark.el.classList.toggle("slim-selected", now.selected);
  }

  private drawLegend(scanned: boolean, worst: number, unit: string): void {
    const words = scanned ? `Drop at ratio ${AT}: 0 to ${fixed(worst, 1)} ${unit === "%" || !unit ? "points" : unit}` : "Scan to colour the layers by what they lose";
    if (this.legend.dataset.said === words) return;
    this.legend.dataset.said = words;
    this.legend.replaceChildren(scanned ? h("i", { class: "slim-ramp" }) : "", h("span", {}, words), h("i", { class: "slim-key slim-key-frozen" }), h("span", {}, "frozen"), h("i", { class: "slim-key slim-key-gone" }), h("span", {}, "cut"));
  }

  private drawCaption(known: Map<string, Curve>): void {
    const name = this.hovered ?? this.ctx.memory.selected;
    const row = name ? this.rows.get(name) : undefined;
    if (!name || !row) return text(this.caption, "The network as it runs, left to right. Click a layer to select it in the curves.");
    if (!row.prunable) return text(this.caption, `${name} (${row.type}): ${row.prunable === null ? "follows its input" : `frozen: ${row.reason}`}`);
    const curve = known.get(row.group || name);
    const drop = curve ? `, drop ${fixed(predictedDrop(curve, Math.min(AT, last(curve))) ?? 0, 1)} points at ratio ${Math.min(AT, last(curve))}` : "";
    text(this.caption, `${name} (${row.type})${row.group && row.group !== name ? `, tied to ${row.group}` : ""}${drop}`);
  }
}

const last = (curve: Curve): number => (curve.points.length ? curve.points[curve.points.length - 1].ratio : 0);
