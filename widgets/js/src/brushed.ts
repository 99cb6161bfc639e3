// The models that are brushed in the comparison: what each layer of them lost, side by side.
import { type Context, button } from "./context";
import { layerStyle } from "./colour";
import { KEYS, h, show } from "./dom";
import type { CandidatesView, GraphView } from "./types";

export class Brushed {
  readonly el: HTMLElement;
  private drawn = "";

  constructor(private ctx: Context) {
    this.el = h("div", { class: "slim-brushedbox", role: "group", "aria-label": "Ratios of the highlighted models" });
    ctx.onSelect(() => this.update());
  }

  update(): void {
    const { brushed, selected } = this.ctx.memory;
    const rows = (this.ctx.get<CandidatesView>("candidates").rows ?? []).filter((row) => brushed.includes(row.name));
    const layers = this.ctx.get<GraphView>("graph").cost?.groups ?? [];
    show(this.el, rows.length > 0 && layers.length > 0);
    const now = JSON.stringify([rows.map((r) => [r.name, r.ratios]), layers, selected]);
    if (now === this.drawn) return;
    this.drawn = now;
    this.el.replaceChildren(...rows.map((row) => {
      const use = button("Use these ratios", "reuse", `Pick the ratios of ${row.name} again`, () => this.ctx.send("reuse", { name: row.name }));
      use.dataset.key = `reuse:${row.name}`;
      const bars = layers.map((layer, i) => {
        const ratio = row.ratios?.[layer] ?? 0;
        return h("button", {
          type: "button", class: `slim-ratiobar${layer === selected ? " slim-selected" : ""}`, "data-layer": layer, "data-ratio": ratio, tabindex: -1, ...KEYS,
          title: `${layer}: ${ratio.toFixed(2)} of its channels removed`, "aria-label": `${layer}: ${ratio.toFixed(2)}`, style: layerStyle(i, layers.length),
          click: () => this.ctx.select(layer),
        }, h("i", { style: `height:${(100 * ratio).toFixed(0)}%` }));
      });
      return h("div", { class: "slim-brushedrow", "data-brushed": row.name },
        h("b", { title: row.name }, row.name), h("div", { class: "slim-ratiobars", role: "group", "aria-label": `Pruning ratios of ${row.name}, layer by layer` }, ...bars), use);
    }), rows.length ? h("p", { class: "slim-note" }, "Bars: share of each layer\u2019s channels removed, first layer left; the full height is 1. Click a bar to select its layer in step 2.") : "");
  }
}
