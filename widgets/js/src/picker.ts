// Curves, sliders and totals as one: a change in any of them shows in all at once, and the kernel confirms it a moment later.
import { Budget } from "./budget";
import { Context, type Panel, button, field, setInput } from "./context";
import { type Prediction, predict } from "./cost";
import { CurvesPlot } from "./curves";
import { h } from "./dom";
import { type Hand, handOf } from "./hand";
import { History } from "./history";
import { bytes, count, fixed, ms, removed } from "./format";
import { NetworkMap } from "./map";
import { LayerStrip } from "./strip";
import type { CurvesView, GraphView, PickedView, PreviewView, SettingsView } from "./types";

export class Picker implements Panel {
  readonly el: HTMLElement;
  private hand: Hand;
  private frame = 0;
  private plot: CurvesPlot;
  private strip: LayerStrip;
  private totals = h("div", { class: "slim-totals", role: "group", "aria-label": "Prediction for these ratios" });
  private uniform = h("input", { type: "number", min: 0, max: 0.95, step: 0.05, value: 0.5, "data-key": "uniform" });
  private drop = h("input", { type: "number", min: 0, max: 100, step: 0.5, value: 1, "data-key": "drop" });
  private dropButton: HTMLButtonElement;
  private budget: Budget | null = null;
  private map: NetworkMap | null = null;

  /** `whole`: the kernel behind it also has a solver and a stopwatch, as the workbench has. */
  constructor(private ctx: Context, whole = false) {
    const select = (layer: string) => ctx.select(layer);
    ctx.onSelect(() => this.draw());
    this.hand = handOf(String(ctx.model.get("key") ?? ""));
    this.hand.attach(ctx, () => this.soon());
    const ratio = (layer: string, value: number) => this.hand.set(layer, value);
    this.plot = new CurvesPlot({ select, ratio, hand: this.hand }, "Press Scan to measure how much accuracy each layer loses at each pruning ratio.");
    this.strip = new LayerStrip({ select, ratio });
    ctx.onStop(this.plot.stop);
    this.dropButton = button("Set by drop", "drop", "Give each layer the largest ratio whose predicted drop stays within this many points", () => this.preset("drop", Number(this.drop.value)));
    const presets = h("div", { class: "slim-controls slim-presets", role: "group", "aria-label": "Ratios for all layers at once" },
      field("Uniform ratio", this.uniform),
      button("Set uniform", "uniform", "Give every layer this pruning ratio", () => this.preset("uniform", Number(this.uniform.value))),
      h("span", { class: "slim-gap" }),
      field("Accepted drop", this.drop, "points per layer"), this.dropButton,
      h("span", { class: "slim-gap" }),
      button("Clear", "clear", "Prune nothing: all ratios back to 0", () => this.preset("clear", 0)));
    const history = new History(ctx, this.hand);
    if (whole) this.map = new NetworkMap(ctx, this.hand);
    if (whole) this.budget = new Budget(ctx, () => this.hand.flush());
    this.el = h("div", { class: "slim-picker" }, presets, this.budget?.el ?? "", history.el, h("div", { class: "slim-two" }, this.plot.el, this.strip.el), this.totals, this.map?.el ?? "");
    // Before a slider gets the key, which keeps all keys to itself.
    this.el.addEventListener("keydown", (e) => history.key(e), { capture: true });
    ctx.watch(["curves", "graph"], () => this.draw());
    ctx.watch(["picked"], () => { this.hand.adopt(); this.draw(); });
    ctx.watch(["settings"], () => this.settings());
  }

  private settings(): void {
    const { uniform, drop } = this.ctx.get<SettingsView>("settings");
    if (uniform !== undefined) setInput(this.uniform, String(uniform));
    if (drop !== undefined) setInput(this.drop, String(drop));
  }

  private preset(event: string, value: number): void {
    this.hand.flush();
    this.ctx.send(event, { value });
  }

  /** Many pointer moves in one frame are drawn once. */
  private soon(): void {
    if (typeof requestAnimationFrame === "undefined") this.draw();
    else if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  private draw(): void {
    const curves = this.ctx.get<CurvesView>("curves");
    const { cost } = this.ctx.get<GraphView>("graph");
    const { memory } = this.ctx;
    if (!memory.selected && curves.curves?.length) memory.selected = curves.curves[0].layer;
    this.plot.update(curves, this.hand.ratios, memory.selected);
    this.strip.update(cost, curves, this.hand.ratios, memory.selected);
    this.map?.update();
    this.dropButton.disabled = !curves.curves?.length;
    if (cost) this.drawTotals(predict(cost, this.hand.ratios, curves), predict(cost, {}, curves));
  }

  private drawTotals(now: Prediction, before: Prediction): void {
    const preview = this.ctx.get<PickedView>("picked").preview;
    const fresh = this.hand.seq === this.hand.confirmed && !!preview;
    const agrees = fresh && same(now, preview!);
    const cell = (name: string, was: number, is: number, form: (x: number) => string) =>
      h("span", { class: "slim-total", "data-total": name.toLowerCase(), "data-value": is }, h("b", {}, name),
        h("span", {}, was === is ? form(is) : `${form(was)} → ${form(is)}`), h("em", {}, was === is ? "" : removed(was, is)));
    const share = (was: number, is: number) => (was > 0 ? 1 - is / was : 0);
    const time = preview?.latency ?? null;
    this.budget?.mark({ macs: share(before.macs, now.macs), bytes: share(before.bytes, now.bytes), latency: fresh && time !== null ? preview!.latency_removed ?? null : null });
    const drop = now.drop === null ? "scan first" : `${fixed(now.drop, 1)} points`;
    const left = now.unmeasured ? ` (${now.unmeasured} picked layers not scanned)` : "";
    this.totals.replaceChildren(
      cell("MACs", before.macs, now.macs, count),
      cell("Parameters", before.params, now.params, count),
      cell("Bytes", before.bytes, now.bytes, bytes),
      // The browser has no table of times: the kernel's answer is awaited.
      time === null ? "" : h("span", { class: "slim-total", "data-total": "latency", "data-value": fresh ? time : "", title: "Predicted from the measured times of the layers" },
        h("b", {}, "Latency"), h("span", {}, fresh ? ms(time) : "…"), h("em", {}, fresh && preview!.latency_removed ? `${fixed(-100 * preview!.latency_removed, 0)} %` : "")),
      h("span", { class: "slim-total", "data-total": "drop", "data-value": now.drop ?? "", title: "Predicted from the drops of the single layers: an estimate, before fine-tuning" },
        h("b", {}, "Predicted drop"), h("span", {}, drop + left)),
      h("span", { class: "slim-confirmed", "data-confirmed": agrees ? "yes" : fresh ? "no" : "waiting",
        title: agrees ? "The kernel computed the same numbers" : "Computed in the browser" },
        agrees ? "✓ confirmed" : fresh ? `kernel: ${count(preview!.macs)} MACs, ${bytes(preview!.bytes)}` : "…"),
    );
  }
}

function same(now: Prediction, kernel: PreviewView): boolean {
  const drop = now.drop === null || kernel.drop === null || Math.abs(now.drop - kernel.drop) < 1e-6;
  return now.macs === kernel.macs && now.params === kernel.params && now.bytes === kernel.bytes && drop;
}

/** The curves alone, with nothing to change. */
export class CurvesOnly implements Panel {
  readonly el: HTMLElement;
  constructor(ctx: Context) {
    const draw = () => plot.update(ctx.get<CurvesView>("curves"), {}, ctx.memory.selected);
    const select = (layer: string) => { ctx.memory.selected = layer; draw(); };
    const plot = new CurvesPlot({ select }, "There is nothing measured in this sensitivity yet.");
    this.el = plot.el;
    ctx.onStop(plot.stop);
    ctx.watch(["curves"], draw);
  }
}
