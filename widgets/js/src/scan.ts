// What is to be scanned, the buttons that start and continue it, and what is known so far.
import { type Context, type Panel, button, field, setInput } from "./context";
import { h, text } from "./dom";
import { score, whole } from "./format";
import type { CurvesView, GraphView, SettingsView } from "./types";

const GRIDS = ["0.1:0.9:0.1", "0.2:0.8:0.2", "0.1:0.9:0.2", "0.3, 0.5, 0.7", "0.5"];

/** "0.1:0.9:0.2" (from, to, step) or "0.3, 0.5" as numbers; null where it is neither. */
export function parseRatios(textual: string): number[] | null {
  const parts = textual.split(/[:,;\s]+/).filter(Boolean).map(Number);
  if (!parts.length || parts.some((p) => !Number.isFinite(p))) return null;
  let ratios = parts;
  if (textual.includes(":")) {
    if (parts.length !== 3 || parts[2] <= 0) return null;
    const [from, to, step] = parts;
    const steps = Math.floor((to - from) / step + 1e-6);
    ratios = steps < 0 ? [] : Array.from({ length: Math.min(steps, 99) + 1 }, (_, i) => Math.round((from + i * step) * 1e6) / 1e6);
  }
  const good = ratios.length > 0 && ratios.every((r) => r > 0 && r < 1);
  return good ? [...new Set(ratios)].sort((a, b) => a - b) : null;
}

export class ScanControls implements Panel {
  readonly el: HTMLElement;
  private images = h("input", { type: "number", min: 1, step: 100, "data-key": "images" });
  private ratios = h("input", { type: "text", list: "slim-grids", size: 12, spellcheck: "false", "data-key": "ratios" });
  private criterion = h("select", { "data-key": "criterion" });
  private note = h("span", { class: "slim-note slim-scan-note" });
  private scan: HTMLButtonElement;
  private resume: HTMLButtonElement;

  constructor(private ctx: Context) {
    this.scan = button("Scan", "scan", "Measure every layer at every ratio; earlier scans stay on the disk", () => this.start("scan"), true);
    this.resume = button("Resume", "resume", "Measure what an earlier scan left out, with its own settings", () => this.start("resume"));
    const grids = h("datalist", { id: "slim-grids" }, ...GRIDS.map((g) => h("option", { value: g })));
    this.images.title = "Test images used for each measurement: fewer is faster, more is surer";
    this.ratios.title = "Pruning ratios to try: from:to:step, or a list such as 0.3, 0.5, 0.7";
    this.criterion.title = "How the channels of a layer are ranked: the least important go first";
    for (const input of [this.images, this.ratios, this.criterion]) input.addEventListener("change", () => this.changed());
    this.ratios.addEventListener("input", () => this.enable());
    this.el = h("div", { class: "slim-scan" },
      h("div", { class: "slim-controls", role: "group", "aria-label": "Sensitivity scan" },
        field("Images", this.images), field("Ratios", this.ratios), grids, field("Criterion", this.criterion), this.scan, this.resume, this.note));
    ctx.watch(["settings"], () => this.settings());
    ctx.watch(["job", "curves", "graph"], () => this.enable());
  }

  private values(): Record<string, unknown> {
    return { images: Number(this.images.value) || null, ratios: this.ratios.value, criterion: this.criterion.value };
  }

  private changed(): void {
    this.describe();
    this.ctx.send("settings", this.values());
  }

  private start(event: string): void {
    this.ctx.send(event, event === "scan" ? this.values() : {});
  }

  private settings(): void {
    const settings = this.ctx.get<SettingsView>("settings");
    const criteria = settings.criteria ?? [];
    if (this.criterion.options.length !== criteria.length) this.criterion.replaceChildren(...criteria.map((c) => h("option", { value: c }, c.replace(/_/g, " "))));
    if (settings.images_max) this.images.max = String(settings.images_max);
    setInput(this.images, String(settings.images ?? settings.images_max ?? ""));
    setInput(this.ratios, settings.ratios ?? "");
    setInput(this.criterion, settings.criterion ?? "");
    this.describe();
  }

  private enable(): void {
    const curves = this.ctx.get<CurvesView>("curves");
    const { busy } = this.ctx;
    const measured = curves.measured ?? 0;
    const good = parseRatios(this.ratios.value) !== null;
    this.scan.disabled = busy || !good;
    this.resume.disabled = busy || measured === 0 || curves.complete === true;
    text(this.scan, measured && !busy ? "Scan again" : "Scan");
    this.describe();
  }

  private describe(): void {
    const curves = this.ctx.get<CurvesView>("curves");
    const layers = this.ctx.get<GraphView>("graph").cost?.groups.length ?? 0;
    const ratios = parseRatios(this.ratios.value);
    this.ratios.setAttribute("aria-invalid", ratios ? "false" : "true");
    if (!ratios) return text(this.note, "Ratios are numbers between 0 and 1: from:to:step, such as 0.1:0.9:0.1, or a list such as 0.3, 0.5, 0.7.");
    if (!curves.measured) return text(this.note, `${layers} layers × ${ratios.length} ratios = ${whole(layers * ratios.length)} cells to measure.`);
    const base = score(curves.baseline ?? 0, curves.unit ?? "");
    const cells = curves.measured === curves.planned ? `all ${whole(curves.measured)}` : `${whole(curves.measured)} of ${whole(curves.planned ?? 0)}`;
    const seen = curves.complete || !curves.seen ? "" : ` on ${whole(curves.seen)} of ${whole(curves.images ?? 0)} images`;
    this.note.title = `On ${whole(curves.images ?? 0)} test images, channels ranked by ${(curves.criterion ?? "").replace(/_/g, " ")}`;
    text(this.note, `Measured ${cells} cells${seen}; nothing pruned: ${base}.`);
  }
}
