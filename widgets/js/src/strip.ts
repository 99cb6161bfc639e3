// One row a layer: what is cut (a bar, width before and after) and a native slider for its ratio.
import { layerStyle } from "./colour";
import { keptWidth, predictedDrop } from "./cost";
import { COARSE, FINE, keyRatio, snap } from "./curves";
import { KEYS, attrs, h, text } from "./dom";
import { fixed } from "./format";
import type { Cost, Curve, CurvesView } from "./types";
import { byLayer } from "./unpack";

interface Row {
  el: HTMLElement;
  slider: HTMLInputElement;
  value: HTMLElement;
  bar: HTMLElement;
  widths: HTMLElement;
  drop: HTMLElement;
  width: number;
  /** What it shows: nothing is touched that did not change, for a hand moves one row out of a hundred. */
  shown: { ratio: number; most: number; curve: Curve | undefined; selected: boolean } | null;
}

export interface StripEvents {
  select(layer: string): void;
  ratio(layer: string, ratio: number): void;
}

export class LayerStrip {
  readonly el = h("div", { class: "slim-strip", role: "group", "aria-label": "Pruning ratio of each layer" });
  private rows = new Map<string, Row>();
  private cost: Cost | undefined;
  private scrolled: string | null = null;

  constructor(private events: StripEvents) {}

  update(cost: Cost | undefined, curves: CurvesView, ratios: Record<string, number>, selected: string | null): void {
    if (cost !== this.cost) this.build(cost);
    const known = byLayer(curves);
    const most = Math.max(0.9, ...(curves.ratios ?? []));
    for (const [layer, row] of this.rows) {
      const ratio = ratios[layer] ?? 0;
      const now = { ratio, most, curve: known.get(layer), selected: layer === selected };
      const was = row.shown;
      if (was && was.ratio === ratio && was.most === most && was.curve === now.curve && was.selected === now.selected) continue;
      row.shown = now;
      const kept = keptWidth(row.width, ratio);
      if (row.slider.max !== String(most)) row.slider.max = String(most);
      if (Number(row.slider.value) !== ratio) row.slider.value = String(ratio);
      row.slider.style.setProperty("--fill", `${(100 * ratio) / most}%`);
      text(row.value, ratio.toFixed(2));
      text(row.widths, kept === row.width ? `${row.width}` : `${row.width} → ${kept}`);
      const percent = `${(100 * kept) / row.width}%`;
      if (row.bar.style.width !== percent) row.bar.style.width = percent;
      const drop = predictedDrop(now.curve, ratio);
      text(row.drop, drop === null ? "?" : ratio > 0 ? fixed(drop, 1) : "");
      row.drop.title = drop === null ? "This layer has not been scanned yet" : "Predicted drop, points";
      attrs(row.slider, { "aria-valuetext": `${ratio.toFixed(2)}, ${kept} of ${row.width} channels kept` });
      attrs(row.el, { "data-ratio": ratio, "data-kept": kept });
      row.el.classList.toggle("slim-selected", now.selected);
    }
    this.reveal(selected);
  }

  private build(cost: Cost | undefined): void {
    this.cost = cost;
    this.rows.clear();
    const names = cost?.groups ?? [];
    names.forEach((layer, i) => this.rows.set(layer, this.row(layer, cost!.widths[i], layerStyle(i, names.length))));
    const head = h("div", { class: "slim-row slim-head", "aria-hidden": "true" },
      h("span"), h("span", {}, "Layer"), h("span", {}, "Channels"), h("span", {}, "Ratio"), h("span"), h("span", { class: "slim-num" }, "Drop"));
    this.el.replaceChildren(head, ...[...this.rows.values()].map((r) => r.el));
  }

  private row(layer: string, width: number, style: string): Row {
    const slider = h("input", {
      type: "range", min: 0, max: 0.9, step: FINE, value: 0, "aria-label": `Pruning ratio of ${layer}`,
      title: `Pruning ratio of ${layer}. Arrow keys: ${COARSE}, with Shift: ${FINE}`,
      "data-key": `slider:${layer}`, ...KEYS,
      input: () => this.events.ratio(layer, snap(Number(slider.value))),
      focus: () => this.events.select(layer),
      keydown: (e: KeyboardEvent) => {
        e.stopPropagation();
        const ratio = keyRatio(e.key, e.shiftKey, Number(slider.value), Number(slider.max));
        if (ratio === null) return;
        e.preventDefault();
        slider.value = String(ratio);
        this.events.ratio(layer, ratio);
      },
    });
    const [value, bar, widths, drop] = [h("output"), h("i"), h("span", { class: "slim-widths" }), h("span", { class: "slim-num" })];
    const el = h("div", { class: "slim-row", "data-layer": layer, style, click: () => this.events.select(layer) },
      h("span", { class: "slim-swatch" }),
      h("span", { class: "slim-name", title: layer }, h("bdi", {}, layer)),
      h("span", { class: "slim-cut" }, h("span", { class: "slim-bar" }, bar), widths),
      slider, value, drop);
    return { el, slider, value, bar, widths, drop, width, shown: null };
  }

  private reveal(selected: string | null): void {
    if (selected === this.scrolled) return;
    this.scrolled = selected;
    const row = selected ? this.rows.get(selected)?.el : undefined;
    if (!row || !this.el.clientHeight) return;
    // Only this list may scroll: scrollIntoView would move the notebook under the pointer.
    const [top, bottom] = [row.offsetTop - 26, row.offsetTop + row.offsetHeight];
    if (top < this.el.scrollTop) this.el.scrollTop = top;
    else if (bottom > this.el.scrollTop + this.el.clientHeight) this.el.scrollTop = bottom - this.el.clientHeight;
  }
}
