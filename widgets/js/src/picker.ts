// Curves, sliders and totals as one: a change in any of them shows in all at once, and the kernel confirms it a moment later.
import { Budget } from "./budget";
import { Context, type Panel, button, field, setInput } from "./context";
import { type Prediction, predict } from "./cost";
import { CurvesPlot } from "./curves";
import { h } from "./dom";
import { type Hand, handOf } from "./hand";
import { History } from "./history";
import { latency } from "./latency";
import { NetworkMap } from "./map";
import { LayerStrip } from "./strip";
import { type Timed, Totals } from "./totals";
import type { Cost, CurvesView, GraphView, PickedView, SettingsView, TimesView } from "./types";

export class Picker implements Panel {
  readonly el: HTMLElement;
  private hand: Hand;
  private frame = 0;
  private plot: CurvesPlot;
  private strip: LayerStrip;
  private totals = new Totals();
  /** What the network costs with nothing pruned. */
  private whole: { cost: Cost; times: TimesView; all: Timed } | null = null;
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
    if (whole) this.budget = new Budget(ctx, () => this.hand.lift());
    this.el = h("div", { class: "slim-picker" }, presets, this.budget?.el ?? "", history.el, h("div", { class: "slim-two" }, this.plot.el, this.strip.el), this.totals.el, this.map?.el ?? "");
    // Before a slider gets the key, which keeps all keys to itself.
    this.el.addEventListener("keydown", (e) => history.key(e), { capture: true });
    ctx.watch(["curves", "graph", "times"], () => this.draw());
    ctx.watch(["picked"], () => { this.hand.adopt(); this.draw(); });
    ctx.watch(["settings"], () => this.settings());
  }

  private settings(): void {
    const { uniform, drop } = this.ctx.get<SettingsView>("settings");
    if (uniform !== undefined) setInput(this.uniform, String(uniform));
    if (drop !== undefined) setInput(this.drop, String(drop));
  }

  private preset(event: string, value: number): void {
    this.hand.lift();
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
    if (!cost) return;
    const times = this.ctx.get<TimesView>("times");
    const timed = (one: Prediction): Timed => ({ ...one, latency: latency(times, cost.groups, one.kept) });
    if (!this.whole || this.whole.cost !== cost || this.whole.times !== times) this.whole = { cost, times, all: timed(predict(cost, {}, {})) };
    const now = timed(predict(cost, this.hand.ratios, curves));
    const { all } = this.whole;
    const share = (was: number, is: number) => (was > 0 ? 1 - is / was : 0);
    const quicker = now.latency === null || all.latency === null ? null : share(all.latency, now.latency);
    this.budget?.mark({ macs: share(all.macs, now.macs), bytes: share(all.bytes, now.bytes), latency: quicker });
    this.totals.update(now, all, this.ctx.get<PickedView>("picked").preview ?? null, this.hand.seq === this.hand.confirmed);
  }
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
