// Quantization: how many bits each layer gets, what rounding to them costs its weights, and the button that does it.
import { type Context, type Panel, button, field, setInput } from "./context";
import { KEYS, attrs, h, show, text } from "./dom";
import { fixed, whole } from "./format";
import type { CandidatesView, QuantLayer, QuantView, SettingsView } from "./types";

const BITS = [2, 3, 4, 5, 6, 7, 8];
const FLOAT = 32;

/** Root mean square of the rounding error, as a share of that of the weights: a step of a grid, spread evenly. */
export function roundingError(row: QuantLayer, bits: number, each: boolean): number {
  if (bits >= FLOAT || row.rms <= 0) return 0;
  const scale = each ? row.channels : row.most;
  return scale / (2 ** (bits - 1) - 1) / Math.sqrt(12) / row.rms;
}

const bitOptions = () => BITS.map((b) => h("option", { value: b }, String(b)));

export class Quantize implements Panel {
  readonly el: HTMLElement;
  private which = h("select", { "data-key": "quant-which", title: "The model to quantize: the unpruned one, or a pruned one" });
  private weight = h("select", { "data-key": "quant-weight", title: "One scale for a whole weight, or one for each output channel" },
    h("option", { value: "channel_wise_abs_max" }, "one per output channel"), h("option", { value: "abs_max" }, "one per tensor"));
  private weightBits = h("select", { "data-key": "quant-weight-bits" }, ...bitOptions());
  private activationBits = h("select", { "data-key": "quant-activation-bits" }, ...bitOptions());
  private equalize = h("input", { type: "checkbox", "data-key": "quant-equalize", title: "First scale the channels between layers so that rounding adds least to the output; in float the network computes the same" });
  private epochs = h("input", { type: "number", min: 0, max: 1000, step: 1, "data-key": "quant-epochs", title: "0: scales are chosen on calibration images. More: the weights are also trained on their grids" });
  private start: HTMLButtonElement;
  private body = h("tbody");
  private note = h("p", { class: "slim-note" });
  private rows = new Map<string, { bits: HTMLSelectElement; mine: HTMLElement; tensor: HTMLElement; channel: HTMLElement; bar: HTMLElement }>();
  private drawn: QuantLayer[] | null = null;

  constructor(private ctx: Context) {
    this.start = button("Quantize", "quantize", "Put weights and activations of a copy on grids of few bits; it becomes a model to compare", () => ctx.send("quantize", { name: this.which.value }), true);
    for (const input of [this.weight, this.weightBits, this.activationBits, this.equalize, this.epochs]) input.addEventListener("change", () => this.send());
    this.which.addEventListener("change", () => { ctx.memory.quantized = this.which.value; ctx.send("look_at_weights", { name: this.which.value }); });
    const heads = ["Layer", "Weights", "Bits", "Rounding error", "", "One per tensor", "One per channel"];
    const titles = ["", "", "Bits of this layer's weights; 32 leaves it in float", "Expected error of the weights with these settings, as a share of their size", "", "The same with one scale for the whole weight", "The same with one scale for each output channel"];
    const table = h("table", { class: "slim-table slim-quant", "aria-label": "Bits of each layer" },
      h("thead", {}, h("tr", {}, ...heads.map((name, i) => h("th", { scope: "col", title: titles[i], class: i && i !== 2 && i !== 4 ? "slim-num" : "" }, name)))), this.body);
    this.el = h("div", { class: "slim-quantize" },
      h("div", { class: "slim-controls", role: "group", "aria-label": "Quantization" },
        field("To quantize", this.which), field("Scales of weights", this.weight), field("Weight bits", this.weightBits), field("Activation bits", this.activationBits), field("Equalize channels", this.equalize), field("Passes on the grids", this.epochs), this.start),
      this.note, h("div", { class: "slim-scroll slim-layers-scroll", tabindex: 0, role: "region", "aria-label": "Bits of each layer" }, table));
    ctx.watch(["candidates"], () => this.models());
    ctx.watch(["quant", "settings"], () => this.draw());
    ctx.watch(["job"], () => { this.start.disabled = ctx.busy; });
  }

  private send(): void {
    this.ctx.send("settings", { weight: this.weight.value, weight_bits: Number(this.weightBits.value), activation_bits: Number(this.activationBits.value), equalize: this.equalize.checked, quant_epochs: Number(this.epochs.value) });
  }

  private models(): void {
    const names = ["baseline", ...(this.ctx.get<CandidatesView>("candidates").rows ?? []).filter((r) => !r.quantized).map((r) => r.name)];
    if ([...this.which.options].map((o) => o.value).join("\n") === names.join("\n")) return;
    this.which.replaceChildren(...names.map((name) => h("option", { value: name }, name === "baseline" ? "baseline (not pruned)" : name)));
    this.which.value = names.includes(this.ctx.memory.quantized) ? this.ctx.memory.quantized : "baseline";
  }

  private draw(): void {
    const settings = this.ctx.get<SettingsView>("settings");
    setInput(this.weight, settings.weight ?? "channel_wise_abs_max");
    setInput(this.weightBits, String(settings.weight_bits ?? 8));
    setInput(this.activationBits, String(settings.activation_bits ?? 8));
    setInput(this.equalize, String(settings.equalize ?? false));
    setInput(this.epochs, String(settings.quant_epochs ?? 0));
    const { layers = [], name = "" } = this.ctx.get<QuantView>("quant");
    if (layers !== this.drawn) this.build(layers);
    const own = settings.layer_bits ?? {};
    const common = settings.weight_bits ?? 8;
    const each = (settings.weight ?? "channel_wise_abs_max") === "channel_wise_abs_max";
    let [bits, count] = [0, 0];
    const worst = Math.max(1e-9, ...layers.map((row) => roundingError(row, own[row.layer] ?? common, each)));
    for (const row of layers) {
      const shown = this.rows.get(row.layer)!;
      const used = own[row.layer] ?? common;
      shown.bits.options[0].textContent = `as above (${common})`;
      setInput(shown.bits, String(own[row.layer] ?? 0));
      const error = roundingError(row, used, each);
      text(shown.mine, used >= FLOAT ? "none" : percent(error));
      attrs(shown.mine, { "data-error": error.toFixed(5) });
      shown.bar.style.width = `${(100 * error) / worst}%`;
      text(shown.tensor, percent(roundingError(row, Math.min(used, 8), false)));
      text(shown.channel, percent(roundingError(row, Math.min(used, 8), true)));
      bits += used * row.weights;
      count += row.weights;
    }
    show(this.note, count > 0);
    text(this.note, `Weights of \u201c${name}\u201d: ${whole(count)}, ${fixed(bits / Math.max(1, count), 1)} bits each on average instead of 32. Rounding error: what a grid of these bits is expected to change, against the size of the weights.`);
  }

  private build(layers: QuantLayer[]): void {
    this.drawn = layers;
    this.rows.clear();
    this.body.replaceChildren(...layers.map((row) => {
      const bits = h("select", { "aria-label": `Bits of ${row.layer}`, "data-key": `bits:${row.layer}`, ...KEYS }, h("option", { value: 0 }, "as above"), ...bitOptions(), h("option", { value: FLOAT }, "32 (float)"));
      bits.addEventListener("change", () => this.ctx.send("settings", { layer_bits: this.changed(row.layer, Number(bits.value)) }));
      const [mine, tensor, channel, bar] = [h("td", { class: "slim-num" }), h("td", { class: "slim-num" }), h("td", { class: "slim-num" }), h("i")];
      this.rows.set(row.layer, { bits, mine, tensor, channel, bar });
      return h("tr", { "data-quant": row.layer }, h("th", { scope: "row", title: row.layer }, row.layer), h("td", { class: "slim-num" }, whole(row.weights)), h("td", {}, bits), mine, h("td", { class: "slim-errorbar" }, bar), tensor, channel);
    }));
  }

  private changed(layer: string, bits: number): Record<string, number> {
    const next = { ...(this.ctx.get<SettingsView>("settings").layer_bits ?? {}) };
    if (bits) next[layer] = bits;
    else delete next[layer];
    return next;
  }
}

const percent = (share: number): string => `${fixed(100 * share, share < 0.1 ? 2 : 1)} %`;
