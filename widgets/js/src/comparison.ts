// What each strategy cost and saved: a table, and accuracy against MACs, bytes or latency.
import { type Context, type Panel, button, field, setInput } from "./context";
import { h, show, text } from "./dom";
import { bytes, capital, count, fixed, metricName, ms, removed, score } from "./format";
import { Brushed } from "./brushed";
import { Exports } from "./exports";
import { Predicted } from "./predicted";
import { Script } from "./script";
import { AXES, type Axis, Scatter } from "./scatter";
import type { CandidatesView, ComparisonView, SettingsView, TrialRow } from "./types";

export class Comparison implements Panel {
  readonly el: HTMLElement;
  private head = h("thead");
  private body = h("tbody");
  private note = h("p", { class: "slim-note" });
  private hint = h("span", { class: "slim-note slim-scan-note" }, "Drag over marks to highlight models and their ratios.");
  private full = h("div", { class: "slim-compare-full" });
  private empty = h("div", { class: "slim-empty slim-inline" }, "Nothing compared yet. Prune a model or two, then press Compare.");
  private axis = h("select", { "data-key": "axis", title: "What the accuracy is plotted against" },
    ...(Object.keys(AXES) as Axis[]).map((a) => h("option", { value: a }, AXES[a].label)), h("option", { value: "predicted" }, "Predicted drop (points)"));
  private scatter: Scatter;
  private predicted: Predicted;
  private brushed: Brushed;

  constructor(private ctx: Context, private choosable: boolean) {
    this.scatter = new Scatter((name) => this.choose(name), (names) => { ctx.memory.brushed = names; this.draw(); });
    this.predicted = new Predicted((name) => this.choose(name));
    this.brushed = new Brushed(ctx);
    ctx.onStop(this.scatter.stop);
    ctx.onStop(this.predicted.stop);
    if (!choosable) this.axis.querySelector('[value="predicted"]')!.remove();
    this.axis.value = ctx.memory.axis;
    this.axis.addEventListener("change", () => {
      ctx.memory.axis = this.axis.value;
      this.draw();
    });
    const table = h("table", { class: "slim-table slim-comparison", "aria-label": "Comparison of the models" }, this.head, this.body);
    this.full.append(h("div", { class: "slim-scroll" }, table), this.note,
      h("div", { class: "slim-controls" }, field(capital("plot against"), this.axis), this.hint), this.scatter.el, this.predicted.el, this.brushed.el);
    this.el = h("div", { class: "slim-compare" }, this.empty, this.full);
    ctx.watch(["comparison", "candidates"], () => this.draw());
  }

  private choose(name: string): void {
    // The unpruned model is there to be looked at: nothing can be done with it here.
    const known = this.ctx.get<CandidatesView>("candidates").rows?.some((row) => row.name === name);
    if (this.choosable && known) this.ctx.send("choose", { name });
  }

  private draw(): void {
    const view = this.ctx.get<ComparisonView>("comparison");
    const rows = view.rows ?? [];
    const chosen = this.choosable ? this.ctx.get<CandidatesView>("candidates").chosen ?? "" : "";
    show(this.empty, rows.length === 0);
    show(this.full, rows.length > 0);
    if (!rows.length) return;
    const heads = ["Model", capital(metricName(view.metric)), "Drop (points)", ...(this.choosable ? ["Predicted"] : []), "MACs", "Parameters", "Bytes on disk", "Latency (median)"];
    this.head.replaceChildren(h("tr", {}, ...heads.map((name, i) => h("th", { scope: "col", class: `${i ? "slim-num" : ""}${name === "Parameters" ? " slim-extra" : ""}` }, name))));
    this.body.replaceChildren(...rows.map((row) => this.row(row, rows[0], view.unit ?? "", chosen)));
    text(this.note, `★ best trade-off: no other model here is as good in ${metricName(view.metric)}, MACs and bytes and better in one. ` +
      `Latency: a batch of ${view.batch ?? 1} on this machine, quartiles in brackets.`);
    const versus = this.axis.value === "predicted";
    show(this.scatter.el, !versus);
    show(this.predicted.el, versus);
    show(this.hint, this.choosable && !versus);
    if (versus) this.predicted.update(view, chosen);
    else this.scatter.update(view, this.axis.value as Axis, chosen, this.ctx.memory.brushed);
    if (this.choosable) this.brushed.update();
  }

  /** What was predicted, and by how much the drop right after the cut was off it. */
  private forecast(row: TrialRow): HTMLElement {
    if (typeof row.predicted !== "number") return h("td", { class: "slim-num" }, "\u2013");
    const off = typeof row.cut_drop === "number" ? row.cut_drop - row.predicted : null;
    return h("td", { class: "slim-num", title: "Predicted drop before fine-tuning; in brackets what was measured right after the cut" },
      fixed(row.predicted, 2), off === null ? null : h("small", {}, ` (${fixed(row.cut_drop!, 2)})`));
  }

  private row(row: TrialRow, first: TrialRow, unit: string, chosen: string): HTMLElement {
    const cell = (value: string, less = "", more = "") => h("td", { class: `slim-num${more}` }, value, less && row !== first ? h("small", {}, ` ${less}`) : null);
    const span = row.latency_low !== null && row.latency_high !== null ? `[${row.latency_low.toFixed(2)}–${row.latency_high.toFixed(2)}]` : "";
    const latency = h("td", { class: "slim-num", title: span }, row.latency === null ? "–" : ms(row.latency), span ? h("small", { class: "slim-extra" }, ` ${span}`) : null);
    return h("tr", { "data-trial": row.name, "data-pareto": row.pareto ? "yes" : "no", class: `${row.name === chosen ? "slim-selected" : ""}${this.ctx.memory.brushed.includes(row.name) ? " slim-brushed" : ""}`, click: () => this.choose(row.name) },
      h("th", { scope: "row" }, h("span", { class: "slim-star", title: row.pareto ? "best trade-off" : "" }, row.pareto ? "★" : ""), row.name), cell(score(row.score, unit)), cell(row.drop === null ? "–" : fixed(row.drop, 2)),
      ...(this.choosable ? [this.forecast(row)] : []), cell(count(row.macs), removed(first.macs, row.macs)), cell(count(row.params), removed(first.params, row.params), " slim-extra"),
      cell(bytes(row.bytes), removed(first.bytes, row.bytes)), latency);
  }
}

export class CompareAndSave implements Panel {
  readonly el: HTMLElement;
  private compare: HTMLButtonElement;
  private save: HTMLButtonElement;
  private report: HTMLButtonElement;
  private exports: Exports;
  private which = h("select", { "data-key": "which", title: "The model to save, to export and to show the code of" });
  private folder = h("input", { type: "text", size: 26, spellcheck: "false", "data-key": "folder", title: "Folder to write, relative to the notebook" });

  constructor(private ctx: Context) {
    this.compare = button("Compare", "compare", "Measure accuracy, MACs, bytes on disk and latency of the unpruned model and of every pruned one", () => ctx.send("compare"), true);
    this.save = button("Save", "save", "Write the model to the folder; sl.load reads it back", () => ctx.send("save", { name: this.which.value, folder: this.folder.value }));
    this.report = button("Write report", "report", "Write what was compared as one HTML page, report.html beside the notebook", () => ctx.send("report"));
    this.which.addEventListener("change", () => { ctx.send("choose", { name: this.which.value }); this.exports.draw(); });
    this.folder.addEventListener("change", () => ctx.send("settings", { folder: this.folder.value }));
    const script = new Script(ctx, () => this.which.value);
    this.exports = new Exports(ctx, () => this.which.value);
    this.el = h("div", { class: "slim-comparetab" },
      h("div", { class: "slim-controls", role: "group", "aria-label": "Compare and save" },
        this.compare, h("span", { class: "slim-gap" }), field("Model", this.which), field("Folder", this.folder), this.save,
        h("span", { class: "slim-gap" }), ...this.exports.controls, h("span", { class: "slim-gap" }), ...script.buttons, this.report),
      script.el,
      new Comparison(ctx, true).el, this.exports.el);
    ctx.watch(["candidates", "job", "settings", "comparison"], () => this.draw());
  }

  private draw(): void {
    const { rows = [], chosen } = this.ctx.get<CandidatesView>("candidates");
    const names = rows.map((r) => r.name);
    if ([...this.which.options].map((o) => o.value).join("\n") !== names.join("\n")) {
      this.which.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    }
    this.which.value = chosen ?? "";
    setInput(this.folder, this.ctx.get<SettingsView>("settings").folder ?? "");
    this.compare.disabled = this.ctx.busy || !names.length;
    this.which.disabled = !names.length;
    this.exports.draw();
    this.report.disabled = this.ctx.busy || !this.ctx.get<ComparisonView>("comparison").rows?.length;
    this.save.disabled = this.ctx.busy || !names.length;
  }
}
