// Files for runtimes: which format, and how far each file that was written agrees with its model.
import { type Context, button, field } from "./context";
import { h, show } from "./dom";
import { bytes, fixed, ms, score, whole } from "./format";
import type { CandidatesView, ExportRow, ExportsView } from "./types";

export class Exports {
  readonly el: HTMLElement;
  readonly controls: HTMLElement[];
  private format = h("select", { "data-key": "export-format", title: "What the file is for; formats in int8 take a quantized model" });
  private start: HTMLButtonElement;
  private body = h("tbody");

  /** `which` names the model in the page's own list: the kernel may not have heard of the choice yet. */
  constructor(private ctx: Context, private which: () => string) {
    this.start = button("Export", "export", "Write a file for a runtime, run it on the test images, and keep it only if it agrees with the model", () =>
      ctx.send("export", { name: which(), format: this.format.value }));
    this.controls = [field("Format", this.format), this.start];
    const heads = ["Exported", "Format", "Bytes", "Accuracy of the model", "Accuracy of the file", "Largest difference", "One image"];
    const table = h("table", { class: "slim-table slim-exports", "aria-label": "Exported files" },
      h("thead", {}, h("tr", {}, ...heads.map((name, i) => h("th", { scope: "col", class: i > 1 ? "slim-num" : "" }, name)))), this.body);
    this.el = h("div", { class: "slim-scroll", hidden: true }, table);
    ctx.watch(["exports", "candidates", "job"], () => this.draw());
  }

  /** What the formats and the button can do depends on the model that is chosen. */
  draw(): void {
    const { formats = [], rows = [] } = this.ctx.get<ExportsView>("exports");
    const models = this.ctx.get<CandidatesView>("candidates").rows ?? [];
    const one = models.find((row) => row.name === this.which());
    const fitting = formats.filter((format) => !format.quantized || one?.quantized).map((format) => format.name);
    if ([...this.format.options].map((o) => o.value).join("\n") !== fitting.join("\n")) {
      const before = this.format.value;
      this.format.replaceChildren(...fitting.map((name) => h("option", { value: name }, name)));
      this.format.value = fitting.includes(before) ? before : fitting[0] ?? "";
    }
    this.start.disabled = this.ctx.busy || !one;
    show(this.el, rows.length > 0);
    this.body.replaceChildren(...rows.map((row) => this.row(row)));
  }

  private row(row: ExportRow): HTMLElement {
    const cell = (value: string, less = "") => h("td", { class: "slim-num" }, value, less ? h("small", {}, ` ${less}`) : null);
    const times = row.times.map(({ runtime, ms: time }) => `${runtime} ${ms(time)}`).join(", ");
    return h("tr", { "data-export": `${row.name}|${row.format}` }, h("th", { scope: "row" }, row.name), h("td", {}, row.format),
      cell(bytes(row.bytes), row.share < 0.995 ? `${fixed(100 * (row.share - 1), 0)} % against float` : ""), cell(score(row.model, row.unit)), cell(score(row.file, row.unit), `${whole(row.images)} images`),
      h("td", { class: "slim-num", title: "Of an image\u2019s outputs, as a share of its largest output" }, row.largest < 1e-6 ? "< 0.0001 %" : `${fixed(100 * row.largest, row.largest < 1e-3 ? 4 : 1)} %`), cell(times || "\u2013"));
  }
}
