// What the picked ratios would cost and save, and whether the kernel computed the same. Drawn in every frame of a drag: only words change.
import type { Prediction } from "./cost";
import { attrs, h, show, text } from "./dom";
import { bytes, count, fixed, ms, removed } from "./format";
import type { PreviewView } from "./types";

/** A prediction with its milliseconds, null before the layers were timed. */
export interface Timed extends Prediction { latency: number | null }

interface Cell { el: HTMLElement; value: HTMLElement; less: HTMLElement }

const NAMES = { macs: "MACs", parameters: "Parameters", bytes: "Bytes", latency: "Latency", drop: "Predicted drop" };
const TITLES: Partial<Record<Total, string>> = {
  latency: "Predicted from the measured times of the layers",
  drop: "Predicted from the drops of the single layers: an estimate, before fine-tuning",
};
type Total = keyof typeof NAMES;

export class Totals {
  readonly el = h("div", { class: "slim-totals", role: "group", "aria-label": "Prediction for these ratios" });
  private cells = {} as Record<Total, Cell>;
  private confirmed = h("span", { class: "slim-confirmed" });

  constructor() {
    for (const name of Object.keys(NAMES) as Total[]) {
      const [value, less] = [h("span"), h("em")];
      const el = h("span", { class: "slim-total", "data-total": name, title: TITLES[name] }, h("b", {}, NAMES[name]), value, less);
      this.cells[name] = { el, value, less };
      this.el.append(el);
    }
    this.el.append(this.confirmed);
  }

  /** `fresh`: the kernel's answer is to these ratios. */
  update(now: Timed, whole: Timed, answer: PreviewView | null, fresh: boolean): void {
    this.cost("macs", whole.macs, now.macs, count);
    this.cost("parameters", whole.params, now.params, count);
    this.cost("bytes", whole.bytes, now.bytes, bytes);
    show(this.cells.latency.el, now.latency !== null);
    if (now.latency !== null) this.cost("latency", whole.latency ?? now.latency, now.latency, ms);
    const drop = now.drop === null ? "scan first" : `${fixed(now.drop, 1)} points`;
    const left = now.unmeasured ? ` (${now.unmeasured} picked layers not scanned)` : "";
    text(this.cells.drop.value, drop + left);
    attrs(this.cells.drop.el, { "data-value": now.drop ?? "" });
    const known = fresh && answer !== null;
    const agrees = known && same(now, answer);
    attrs(this.confirmed, { "data-confirmed": agrees ? "yes" : known ? "no" : "waiting", title: agrees ? "The kernel computed the same numbers" : "Computed in the browser" });
    text(this.confirmed, agrees ? "✓ confirmed" : known ? `kernel: ${count(answer.macs)} MACs, ${bytes(answer.bytes)}` : "…");
  }

  private cost(name: Total, was: number, is: number, form: (x: number) => string): void {
    const { el, value, less } = this.cells[name];
    attrs(el, { "data-value": is });
    text(value, was === is ? form(is) : `${form(was)} → ${form(is)}`);
    text(less, was === is ? "" : removed(was, is));
  }
}

function same(now: Timed, kernel: PreviewView): boolean {
  const untimed = now.latency === null || kernel.latency === null || kernel.latency === undefined;
  const time = untimed || Math.abs(now.latency! - kernel.latency!) <= 1e-6 * Math.abs(kernel.latency!);
  const drop = now.drop === null || kernel.drop === null || Math.abs(now.drop - kernel.drop) < 1e-6;
  return now.macs === kernel.macs && now.params === kernel.params && now.bytes === kernel.bytes && drop && time;
}
