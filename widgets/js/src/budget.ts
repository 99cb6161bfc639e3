// A budget: which share of MACs, bytes and time to remove, how far each can go, and how far the picked ratios are.
import { type Context, button } from "./context";
import { KEYS, attrs, h, show, text } from "./dom";
import { fixed, ms } from "./format";
import type { BudgetView, CurvesView, SettingsView } from "./types";

export type Resource = "macs" | "bytes" | "latency";
export type Shares = Record<Resource, number | null>;
const NAMES: Record<Resource, string> = { macs: "MACs", bytes: "Bytes", latency: "Latency" };
const RESOURCES = Object.keys(NAMES) as Resource[];
const percent = (share: number): string => `${fixed(100 * share, 0)} %`;

interface Row { el: HTMLElement; slider: HTMLInputElement; value: HTMLElement; reach: HTMLElement; mark: HTMLElement }

export class Budget {
  readonly el: HTMLElement;
  private rows = {} as Record<Resource, Row>;
  private apply: HTMLButtonElement;
  private time: HTMLButtonElement;
  private note = h("span", { class: "slim-note slim-times-note" });
  private told: Record<string, number | undefined> = {};

  /** `before` runs before anything is sent: a move that is still on its way comes first. */
  constructor(private ctx: Context, private before: () => void) {
    for (const name of RESOURCES) this.rows[name] = this.row(name);
    this.apply = button("Set by budget", "budget", "Give the layers the ratios of least predicted drop that remove these shares", () => this.send());
    this.time = button("Time the layers", "times", "Measure on this machine how long each layer takes at each width; then latency can be a budget", () => { before(); ctx.send("times"); });
    this.el = h("div", { class: "slim-controls slim-budget", role: "group", "aria-label": "Budget: shares of the network to remove" },
      h("span", { class: "slim-budget-name" }, "Remove at least"), ...RESOURCES.map((name) => this.rows[name].el), this.time, this.apply, this.note);
    ctx.watch(["budget", "settings", "job", "curves"], () => this.draw());
  }

  /** How much the picked ratios remove, as a mark on each slider. */
  mark(removed: Shares): void {
    for (const name of RESOURCES) {
      const { mark } = this.rows[name];
      const share = removed[name];
      show(mark, share !== null);
      if (share === null) continue;
      const left = `${Math.round(1000 * Math.min(1, Math.max(0, share))) / 10}%`;
      if (mark.style.left !== left) mark.style.left = left;
      attrs(mark, { "data-removed": share.toFixed(4), title: `The picked ratios remove ${percent(share)}` });
    }
  }

  private row(name: Resource): Row {
    const slider = h("input", {
      type: "range", min: 0, max: 1, step: 0.01, value: 0, "aria-label": `Share of ${NAMES[name]} to remove`, "data-key": `budget:${name}`, ...KEYS,
      input: () => this.moved(name),
      change: () => this.ctx.send("settings", { [`remove_${name}`]: Number(slider.value) }),
      keydown: (e: KeyboardEvent) => e.stopPropagation(),
    });
    const [value, reach, mark] = [h("output"), h("small", { class: "slim-reach" }), h("i", { class: "slim-mark" })];
    const el = h("label", { class: "slim-budget-row", "data-budget": name }, h("span", {}, NAMES[name]), h("span", { class: "slim-budget-track" }, slider, mark), value, reach);
    return { el, slider, value, reach, mark };
  }

  private most(name: Resource): number | null {
    const share = this.ctx.get<BudgetView>("budget").reach?.[name];
    return share === undefined || share === null ? null : Math.floor(100 * Math.max(0, share)) / 100;
  }

  private moved(name: Resource): void {
    const { slider } = this.rows[name];
    const most = this.most(name);
    if (most !== null && Number(slider.value) > most) slider.value = String(most);
    this.drawValue(name);
  }

  private send(): void {
    this.before();
    const asked = RESOURCES.filter((name) => this.most(name) !== null);
    this.ctx.send("budget", Object.fromEntries(asked.map((name) => [name, Number(this.rows[name].slider.value)])));
  }

  private draw(): void {
    const settings = this.ctx.get<SettingsView>("settings");
    const scanned = !!this.ctx.get<CurvesView>("curves").curves?.length;
    for (const name of RESOURCES) {
      const row = this.rows[name];
      const most = this.most(name);
      const asked = settings[`remove_${name}`];
      if (asked !== undefined && asked !== this.told[name] && document.activeElement !== row.slider) row.slider.value = String(asked);
      this.told[name] = asked;
      row.slider.disabled = most === null;
      row.slider.style.setProperty("--reach", `${100 * (most ?? 0)}%`);
      // What latency waits for is said by the button beside it.
      const untimed = name === "latency" && most === null && scanned;
      text(row.reach, most !== null ? `up to ${percent(most)}` : "scan first");
      for (const part of [row.value, row.reach]) show(part, !untimed);
      row.reach.title = most !== null ? "With every layer at its last scanned ratio" : "";
      row.el.dataset.reach = most === null ? "" : String(most);
      if (most !== null && Number(row.slider.value) > most) row.slider.value = String(most);
      this.drawValue(name);
    }
    const { busy } = this.ctx;
    this.time.disabled = busy;
    const { times } = this.ctx.get<BudgetView>("budget");
    text(this.time, times ? "Time again" : "Time the layers");
    text(this.note, times ? `${ms(times.whole)} for ${times.batch} images, ${times.runtime}, ${times.threads} thread${times.threads === 1 ? "" : "s"}${times.error === null ? "" : `; predictions were off by at most ${percent(times.error)}`}.` : "");
    this.note.title = times?.warning ?? "";
    this.enable();
  }

  private drawValue(name: Resource): void {
    const { slider, value } = this.rows[name];
    const share = Number(slider.value);
    slider.style.setProperty("--fill", `${slider.disabled ? 0 : 100 * share}%`);
    const words = share > 0 && !slider.disabled ? percent(share) : "any";
    text(value, words);
    attrs(slider, { "aria-valuetext": share > 0 ? `${percent(share)} of ${NAMES[name]} removed at least` : `${NAMES[name]} are free` });
    this.enable();
  }

  private enable(): void {
    if (!this.apply) return;
    const some = RESOURCES.some((name) => !this.rows[name].slider.disabled && Number(this.rows[name].slider.value) > 0);
    this.apply.disabled = this.ctx.busy || !some;
  }
}
