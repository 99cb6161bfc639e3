// Distillation: which layer of the student learns from which layer of the teacher, as lines between two columns.
import { type Context, button, field, setInput } from "./context";
import { KEYS, attrs, h, onResize, s, show, text } from "./dom";
import type { PairRow, PairsView, SettingsView } from "./types";

const ROW = 26;
const TOP = 30;
const LOSSES: Record<string, string> = { attention: "where the maps look (attention)", l2: "what the maps hold (L2)" };

export class Pairs {
  readonly el: HTMLElement;
  private svg = s("svg", { class: "slim-pairs", role: "group", "aria-label": "Pairs of layers: student left, teacher right" });
  private links = s("g");
  private names = s("g", { class: "slim-pair-names" });
  private note = h("p", { class: "slim-note" });
  private loss = h("select", { "data-key": "pair-loss", title: "What is compared between two paired layers" },
    ...Object.entries(LOSSES).map(([name, words]) => h("option", { value: name }, words)));
  private weight = h("input", { type: "number", min: 0, max: 1e6, step: "any", "data-key": "pair-weight", title: "What the loss of each pair is multiplied by" });
  private suggest: HTMLButtonElement;
  private clear: HTMLButtonElement;
  private width = 640;
  private held: string | null = null;

  constructor(private ctx: Context) {
    this.suggest = button("Suggest pairs", "pairs", "Pair the ends of the stages that have one size in the chosen model and in the unpruned one", () => ctx.send("suggest_pairs"));
    this.clear = button("No pairs", "no_pairs", "Take all pairs away", () => this.send([]));
    this.loss.addEventListener("change", () => ctx.send("settings", { pair_loss: this.loss.value }));
    this.weight.addEventListener("change", () => ctx.send("settings", { pair_weight: Number(this.weight.value) }));
    this.svg.append(this.links, this.names);
    const box = h("div", { class: "slim-pairs-box" }, this.svg);
    this.el = h("details", { class: "slim-pairing" }, h("summary", {}, "Pairs of layers for distillation"),
      h("div", { class: "slim-controls", role: "group", "aria-label": "Pairs" }, this.suggest, this.clear, field("Compare", this.loss), field("Weight", this.weight)), this.note, box);
    (this.el as HTMLDetailsElement).open = ctx.memory.pairs;
    this.el.addEventListener("toggle", () => { ctx.memory.pairs = (this.el as HTMLDetailsElement).open; });
    ctx.onStop(onResize(box, (width) => { this.width = width; this.draw(); }));
    ctx.watch(["pairs", "settings", "job"], () => this.draw());
  }

  private send(pairs: [string, string][]): void {
    this.held = null;
    this.ctx.send("pair", { pairs });
  }

  private draw(): void {
    const view = this.ctx.get<PairsView>("pairs");
    const settings = this.ctx.get<SettingsView>("settings");
    setInput(this.loss, settings.pair_loss ?? "attention");
    setInput(this.weight, String(settings.pair_weight ?? 3));
    const { student = [], teacher = [], pairs = [], name = "" } = view;
    this.suggest.disabled = this.ctx.busy || !view.possible;
    this.clear.disabled = !pairs.length;
    const some = student.length > 0 && teacher.length > 0;
    show(this.svg, some);
    text(this.note, !view.possible ? "Prune a model first: the pruned model learns, the unpruned one teaches." : !some
      ? "Press Suggest pairs to see the layers of both that give maps."
      : `\u201c${name}\u201d learns from the unpruned model in ${pairs.length} pair${pairs.length === 1 ? "" : "s"}${settings.teacher ? "" : " once \u201cLearn from the unpruned model\u201d is ticked"}. Click a layer left and one right to pair them; click a line to take it away.`);
    if (!some) return;
    const rows = Math.max(student.length, teacher.length);
    const [height, left, right] = [TOP + rows * ROW + 6, this.width * 0.36, this.width * 0.64];
    attrs(this.svg, { width: this.width, height, viewBox: `0 0 ${this.width} ${height}` });
    const place = (list: PairRow[], layer: string) => TOP + (list.findIndex((r) => r.layer === layer) + 0.5) * ROW;
    this.links.replaceChildren(...pairs.map(([mine, theirs]) => {
      const [y0, y1] = [place(student, mine), place(teacher, theirs)];
      const off = () => this.send(pairs.filter(([a, b]) => a !== mine || b !== theirs));
      return s("path", { class: "slim-pair", d: `M${left + 8} ${y0}C${(left + right) / 2} ${y0} ${(left + right) / 2} ${y1} ${right - 8} ${y1}`, "data-pair": `${mine}|${theirs}`,
        tabindex: 0, role: "button", "aria-label": `${mine} learns from ${theirs}: take the pair away`, ...KEYS, click: off, keydown: (e: KeyboardEvent) => press(e, off) },
        s("title", {}, `${mine} learns from ${theirs}. Click to take the pair away.`));
    }));
    this.names.replaceChildren(
      s("text", { x: left, y: 16, "text-anchor": "end", class: "slim-axis" }, "Student"), s("text", { x: right, y: 16, class: "slim-axis" }, "Teacher (not pruned)"),
      ...student.map((row) => this.end(row, "student", left, place(student, row.layer), pairs)),
      ...teacher.map((row) => this.end(row, "teacher", right, place(teacher, row.layer), pairs)));
  }

  private end(row: PairRow, side: "student" | "teacher", x: number, y: number, pairs: [string, string][]): SVGElement {
    const own = side === "student" ? 0 : 1;
    const paired = pairs.some((pair) => pair[own] === row.layer);
    const shape = row.shape.join(" \u00d7 ");
    const pick = () => this.pick(side, row.layer, pairs);
    const words = `${row.layer} (${shape})`;
    return s("g", { class: `slim-pair-end${paired ? " slim-paired" : ""}${this.held === `${side}:${row.layer}` ? " slim-held" : ""}`, "data-end": `${side}:${row.layer}`, tabindex: 0, role: "button",
      "aria-label": `${side} layer ${words}`, "data-key": `pair:${side}:${row.layer}`, ...KEYS, click: pick, keydown: (e: KeyboardEvent) => press(e, pick) },
      s("circle", { cx: x + (own ? -1 : 1), cy: y, r: 5 }), s("text", { x: x + (own ? 12 : -12), y: y + 4, "text-anchor": own ? "start" : "end" }, words));
  }

  /** The first click holds a layer, one on the other side pairs it. */
  private pick(side: string, layer: string, pairs: [string, string][]): void {
    const [before, name] = this.held ? [this.held.slice(0, this.held.indexOf(":")), this.held.slice(this.held.indexOf(":") + 1)] : ["", ""];
    if (!before || before === side) {
      this.held = this.held === `${side}:${layer}` ? null : `${side}:${layer}`;
      return this.draw();
    }
    const pair: [string, string] = side === "teacher" ? [name, layer] : [layer, name];
    const others = pairs.filter(([mine]) => mine !== pair[0]); // a layer learns from one
    this.send([...others, pair]);
  }
}

function press(e: KeyboardEvent, action: () => void): void {
  e.stopPropagation();
  if (e.key !== "Enter" && e.key !== " ") return;
  e.preventDefault();
  action();
}
