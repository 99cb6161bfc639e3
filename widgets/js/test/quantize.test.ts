import { describe, expect, it } from "vitest";
import { Quantize, roundingError } from "../src/quantize";
import { context } from "./model";

const LAYERS = [
  { layer: "a", weights: 300, rms: 0.1, most: 1, channels: 0.3 },
  { layer: "b", weights: 100, rms: 0.2, most: 0.5, channels: 0.5 },
];
const settings = { weight: "channel_wise_abs_max", weight_bits: 8, activation_bits: 8, quant_epochs: 0, layer_bits: {} };

function show(traits: Record<string, unknown> = {}) {
  const { ctx, model } = context({ settings_view: settings, quant_view: { name: "baseline", layers: LAYERS }, job_view: {}, candidates_view: {}, ...traits });
  const panel = new Quantize(ctx);
  document.body.replaceChildren(panel.el);
  const select = (name: string) => panel.el.querySelector<HTMLSelectElement>(`[aria-label="${name}"]`)!;
  const change = (name: string, value: string) => { select(name).value = value; select(name).dispatchEvent(new Event("change")); };
  const row = (name: string) => panel.el.querySelector<HTMLElement>(`[data-quant="${name}"]`)!;
  return { panel, model, select, change, row };
}

describe("quantization", () => {
  it("expects a step of the grid over the root of twelve", () => {
    expect(roundingError(LAYERS[0], 8, false)).toBeCloseTo(1 / 127 / Math.sqrt(12) / 0.1, 12);
    expect(roundingError(LAYERS[0], 8, true)).toBeCloseTo(0.3 / 127 / Math.sqrt(12) / 0.1, 12);
    expect(roundingError(LAYERS[0], 32, true)).toBe(0);
  });

  it("shows the error of each layer with its own bits, and both kinds of scales", () => {
    const { row, model, panel } = show();
    expect(row("a").textContent).toContain("0.68 %");
    expect(row("a").textContent).toContain("2.27 %");
    expect(panel.el.textContent).toContain("8.0 bits each on average");
    model.set("settings_view", { ...settings, layer_bits: { a: 4 } });
    expect(row("a").querySelector("[data-error]")!.textContent).toBe("12.4 %");
    expect(panel.el.textContent).toContain("5.0 bits each on average");
  });

  it("sends the bits of one layer beside those of others, and takes them back", () => {
    const { change, model } = show({ settings_view: { ...settings, layer_bits: { b: 32 } } });
    change("Bits of a", "4");
    expect(model.sent.pop()).toEqual({ event: "settings", layer_bits: { a: 4, b: 32 } });
    change("Bits of b", "0");
    expect(model.sent.pop()).toEqual({ event: "settings", layer_bits: {} });
  });

  it("equalizes channels where that is ticked, and shows what the kernel knows", () => {
    const { model, panel } = show();
    const box = panel.el.querySelector<HTMLInputElement>('[aria-label="Equalize channels"]')!;
    expect(box.checked).toBe(false);
    box.click();
    expect(model.sent.pop()).toMatchObject({ event: "settings", equalize: true });
    model.set("settings_view", { ...settings, equalize: true });
    expect(box.checked).toBe(true);
    model.set("settings_view", { ...settings, equalize: false });
    expect(box.checked).toBe(false);
  });

  it("quantizes the model that is chosen, and offers none that is on grids already", () => {
    const row = (name: string, quantized: boolean) => ({ name, macs: 1, params: 1, bytes: 1, drop: null, epochs: 0, score: null, quantized });
    const { panel, select, change, model } = show({ candidates_view: { rows: [row("half", false), row("half int8", true)] } });
    expect([...select("To quantize").options].map((o) => o.value)).toEqual(["baseline", "half"]);
    change("To quantize", "half");
    expect(model.sent.pop()).toEqual({ event: "look_at_weights", name: "half" });
    panel.el.querySelector<HTMLButtonElement>('[data-action="quantize"]')!.click();
    expect(model.sent.pop()).toEqual({ event: "quantize", name: "half" });
    change("Scales of weights", "abs_max");
    expect(model.sent.pop()).toEqual({ event: "settings", weight: "abs_max", weight_bits: 8, activation_bits: 8, equalize: false, quant_epochs: 0 });
    model.set("job_view", { status: "running" });
    expect(panel.el.querySelector<HTMLButtonElement>('[data-action="quantize"]')!.disabled).toBe(true);
  });
});
