// The whole instrument: what is on the bench, the running job, and five steps to work through.
import { Comparison, CompareAndSave } from "./comparison";
import { type Context, type Panel, button, field, setInput } from "./context";
import { KEYS, h, show, text } from "./dom";
import { bytes, count } from "./format";
import { JobBar } from "./jobbar";
import { Layers } from "./layers";
import { Offer } from "./offer";
import { CurvesOnly, Picker } from "./picker";
import { Quantize } from "./quantize";
import { FineTune, RunCharts } from "./run";
import { ScanControls } from "./scan";
import type { CandidatesView, ComparisonView, CurvesView, GraphView, PickedView, TitleView } from "./types";

class PruneControls implements Panel {
  readonly el: HTMLElement;
  private name = h("input", { type: "text", size: 18, spellcheck: "false", title: "A name for the pruned model", "data-key": "name" });
  private typed = false;

  constructor(ctx: Context) {
    const prune = button("Prune", "prune", "Cut these channels out of a copy of the model", () => {
      ctx.send("prune", { name: this.name.value });
      this.typed = false;
      this.name.value = ctx.get<PickedView>("picked").name ?? "";
    }, true);
    this.name.addEventListener("input", () => { this.typed = this.name.value !== ""; });
    this.el = h("div", { class: "slim-controls slim-prune", role: "group", "aria-label": "Prune" }, field("Name", this.name), prune);
    ctx.watch(["picked", "job"], () => {
      const picked = ctx.get<PickedView>("picked");
      if (!this.typed) setInput(this.name, picked.name ?? "");
      prune.disabled = ctx.busy || !Object.keys(picked.ratios ?? {}).length;
    });
  }
}

function header(ctx: Context): HTMLElement {
  const [name, facts] = [h("b", { class: "slim-model" }), h("span", { class: "slim-facts" })];
  ctx.watch(["heading", "graph"], () => {
    const { model = "", task = "" } = ctx.get<TitleView>("heading");
    const { totals, layers = [] } = ctx.get<GraphView>("graph");
    text(name, model);
    text(facts, totals ? `${task} · ${layers.length} layers · ${count(totals.params)} parameters · ${count(totals.macs)} MACs · ${bytes(totals.bytes)}` : task);
  });
  return h("div", { class: "slim-header" }, name, facts);
}

interface Step { id: string; name: string; panel: HTMLElement; note: () => string }

function steps(ctx: Context): Step[] {
  const pick = h("div", {}, new ScanControls(ctx).el, new Picker(ctx, true).el, new PruneControls(ctx).el);
  return [
    { id: "layers", name: "1 Layers", panel: new Layers(ctx).el, note: () => "" },
    { id: "pick", name: "2 Scan and pick", panel: pick, note: () => (ctx.get<CurvesView>("curves").complete ? "✓" : "") },
    { id: "tune", name: "3 Fine-tune", panel: new FineTune(ctx).el, note: () => String(ctx.get<CandidatesView>("candidates").rows?.length || "") },
    { id: "quantize", name: "4 Quantize", panel: new Quantize(ctx).el, note: () => "" },
    { id: "compare", name: "5 Compare and save", panel: new CompareAndSave(ctx).el, note: () => (ctx.get<ComparisonView>("comparison").rows?.length ? "✓" : "") },
  ];
}

export function workbench(ctx: Context): HTMLElement {
  const all = steps(ctx);
  const tabs = all.map((step) => h("button", {
    type: "button", role: "tab", class: "slim-tab", "data-tab": step.id, "data-key": `tab:${step.id}`, ...KEYS,
    click: () => open(step.id), keydown: (e: KeyboardEvent) => turn(e, step.id),
  }, h("span", {}, step.name), h("small")));
  const open = (id: string) => {
    ctx.memory.tab = id;
    all.forEach((step, i) => {
      const chosen = step.id === id;
      tabs[i].setAttribute("aria-selected", String(chosen));
      tabs[i].tabIndex = chosen ? 0 : -1;
      show(step.panel, chosen);
    });
  };
  const turn = (e: KeyboardEvent, id: string) => {
    e.stopPropagation();
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    const at = all.findIndex((step) => step.id === id) + by;
    if (!by || !all[at]) return;
    e.preventDefault();
    open(all[at].id);
    tabs[at].focus();
  };
  all.forEach((step) => {
    step.panel.setAttribute("role", "tabpanel");
    step.panel.setAttribute("aria-label", step.name);
    step.panel.classList.add("slim-panel");
    step.panel.dataset.panel = step.id;
  });
  open(ctx.memory.tab);
  ctx.watch(["curves", "candidates", "comparison"], () => all.forEach((step, i) => text(tabs[i].querySelector("small")!, step.note())));
  return h("div", { class: "slim-workbench" }, header(ctx),
    h("div", { class: "slim-tabs", role: "tablist", "aria-label": "Steps" }, ...tabs),
    new JobBar(ctx).el, new Offer(ctx).el, ...all.map((step) => step.panel));
}

export const KINDS: Record<string, (ctx: Context) => HTMLElement> = {
  workbench,
  sensitivity: (ctx) => new CurvesOnly(ctx).el,
  picker: (ctx) => new Picker(ctx).el,
  run: (ctx) => new RunCharts(ctx).el,
  comparison: (ctx) => new Comparison(ctx, false).el,
};
