// The model's layers as a table: what each costs and whether it can be pruned, and if not why.
import type { Context, Panel } from "./context";
import { h, text } from "./dom";
import { bytes, count, share } from "./format";
import type { GraphView, LayerRow } from "./types";

const HEADS: [string, string, string][] = [
  ["Layer", "", "The layer's structured name"],
  ["Type", "", "What the layer is"],
  ["Output", "", "Shape of what it gives for one example"],
  ["Parameters", "slim-num", "Trainable parameters"],
  ["MACs", "slim-num", "Multiply-adds for one example; FLOPs are twice this"],
  ["Bytes", "slim-num", "Size of its parameters"],
  ["Pruning", "", "Whether its output channels can be removed, and if not why"],
];

export class Layers implements Panel {
  readonly el: HTMLElement;
  private body = h("tbody");
  private foot = h("tfoot");
  private note = h("p", { class: "slim-note" });

  constructor(private ctx: Context) {
    const head = h("thead", {}, h("tr", {}, ...HEADS.map(([name, css, title]) => h("th", { scope: "col", class: css, title }, name))));
    const table = h("table", { class: "slim-table", "aria-label": "Layers of the model" }, head, this.body, this.foot);
    this.el = h("div", { class: "slim-layers" }, this.note, h("div", { class: "slim-scroll slim-layers-scroll", tabindex: 0, role: "region", "aria-label": "Layers of the model" }, table));
    ctx.watch(["graph"], () => this.draw());
  }

  private draw(): void {
    const { layers = [], totals } = this.ctx.get<GraphView>("graph");
    const most = Math.max(1, ...layers.map((r) => r.macs));
    this.body.replaceChildren(...layers.map((row) => this.row(row, most)));
    if (!totals) return;
    const prunable = layers.filter((r) => r.prunable).length;
    text(this.note, `${layers.length} layers; ${prunable} of them can lose channels, which reaches ${share(totals.macs_share)} of the MACs and ` +
      `${share(totals.params_share)} of the parameters. Layers tied to each other (\u201cwith \u2026\u201d) lose the same channels.`);
    this.foot.replaceChildren(h("tr", {}, h("th", { scope: "row", colspan: 3 }, "Whole model"),
      h("td", { class: "slim-num" }, count(totals.params)), h("td", { class: "slim-num" }, count(totals.macs)),
      h("td", { class: "slim-num" }, bytes(totals.bytes)), h("td")));
  }

  private row(row: LayerRow, most: number): HTMLElement {
    const pruning = row.prunable === null
      ? h("td", { class: "slim-follows", title: "It has the channels of the layer before it" }, "follows its input")
      : row.prunable
      ? h("td", { class: "slim-prunable" }, row.group && row.group !== row.layer ? `with ${row.group}` : "prunable")
      : h("td", { class: "slim-frozen", title: row.reason }, row.reason ? `frozen: ${row.reason}` : "frozen");
    const macs = h("td", { class: "slim-num slim-share", style: `--share:${((100 * row.macs) / most).toFixed(1)}%` }, row.macs ? count(row.macs) : "0");
    return h("tr", { "data-layer": row.layer, "data-prunable": row.prunable === null ? "follows" : row.prunable ? "yes" : "no" },
      h("th", { scope: "row", title: row.layer }, row.layer), h("td", {}, row.type), h("td", {}, row.output),
      h("td", { class: "slim-num" }, count(row.params)), macs, h("td", { class: "slim-num" }, bytes(row.bytes)), pruning);
  }
}
