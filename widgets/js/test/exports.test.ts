import { describe, expect, it } from "vitest";
import { Exports } from "../src/exports";
import { context } from "./model";

const formats = [{ name: "onnx", quantized: false }, { name: "onnx-int8", quantized: true }];
const model = (name: string, quantized: boolean) => ({ name, quantized, macs: 1, params: 1, bytes: 1, drop: null, epochs: 0, score: null });
const row = { name: "half", format: "onnx", bytes: 2000, share: 1, images: 359, largest: 1.2e-6, unit: "%", model: 96.1, file: 96.1, times: [{ runtime: "onnxruntime", ms: 0.5 }] };

function show(which: string, rows: unknown[] = []) {
  const { ctx, model: fake } = context({ exports_view: { formats, rows }, candidates_view: { rows: [model("half", false), model("half int8", true)] }, job_view: {} });
  const panel = new Exports(ctx, () => which);
  const box = document.createElement("div");
  box.append(...panel.controls, panel.el);
  return { fake, panel, select: box.querySelector("select")!, start: box.querySelector("button")! };
}

describe("exports", () => {
  it("offer formats in int8 only for a quantized model", () => {
    const names = (which: string) => [...show(which).select.options].map((o) => o.value);
    expect(names("half")).toEqual(["onnx"]);
    expect(names("half int8")).toEqual(["onnx", "onnx-int8"]);
    expect(show("").start.disabled).toBe(true);
  });

  it("send the model and the format that are chosen", () => {
    const { fake, select, start } = show("half int8");
    select.value = "onnx-int8";
    start.click();
    expect(fake.sent).toEqual([{ event: "export", name: "half int8", format: "onnx-int8" }]);
    fake.set("job_view", { status: "running" });
    expect(start.disabled).toBe(true);
  });

  it("say how far a file agrees with its model", () => {
    const { panel, fake } = show("half");
    expect(panel.el.hidden).toBe(true);
    fake.set("exports_view", { formats, rows: [row] });
    expect(panel.el.hidden).toBe(false);
    expect(panel.el.querySelector("tbody")!.textContent).toBe("halfonnx2.00 kB96.1 %96.1 % 359 images0.0001 %onnxruntime 0.50 ms");
  });
});
