import { describe, expect, it } from "vitest";
import { Budget } from "../src/budget";
import { CURVES, context } from "./model";

const settings = { remove_macs: 0.5, remove_bytes: 0, remove_latency: 0 };
const REACH = { reach: { macs: 0.834, bytes: 0.7, latency: null }, times: null };

function show(traits: Record<string, unknown> = {}) {
  const { ctx, model } = context({ settings_view: settings, curves_view: CURVES, budget_view: REACH, job_view: {}, ...traits });
  let before = 0;
  const budget = new Budget(ctx, () => { before += 1; });
  document.body.replaceChildren(budget.el);
  const row = (name: string) => budget.el.querySelector<HTMLElement>(`[data-budget="${name}"]`)!;
  const slider = (name: string) => row(name).querySelector("input")!;
  const button = (action: string) => budget.el.querySelector<HTMLButtonElement>(`[data-action="${action}"]`)!;
  return { budget, model, row, slider, button, before: () => before };
}

describe("budgets", () => {
  it("say how far each can go, and which was not measured", () => {
    const { row, slider } = show();
    expect(row("macs").textContent).toContain("up to 83 %");
    expect(row("bytes").textContent).toContain("any");
    expect([...row("latency").children].map((e) => (e as HTMLElement).hidden)).toEqual([false, false, true, true]); // the button says why
    expect(slider("latency").disabled).toBe(true);
  });

  it("never ask for more than can be reached", () => {
    const { slider, row } = show();
    slider("macs").value = "0.95";
    slider("macs").dispatchEvent(new Event("input"));
    expect(slider("macs").value).toBe("0.83");
    expect(row("macs").querySelector("output")!.textContent).toBe("83 %");
  });

  it("send the shares that have a range, after the last move of a hand", () => {
    const { button, model, slider, before } = show();
    slider("bytes").value = "0.3";
    button("budget").click();
    expect(before()).toBe(1);
    expect(model.sent).toEqual([{ event: "budget", macs: 0.5, bytes: 0.3 }]);
  });

  it("can't be sent when all are free, nothing was scanned, or a job runs", () => {
    const { button, slider, model } = show();
    slider("macs").value = "0";
    slider("macs").dispatchEvent(new Event("input"));
    expect(button("budget").disabled).toBe(true);
    slider("macs").value = "0.2";
    slider("macs").dispatchEvent(new Event("input"));
    expect(button("budget").disabled).toBe(false);
    model.set("job_view", { kind: "times", status: "running" });
    expect(button("budget").disabled).toBe(true);
    expect(button("times").disabled).toBe(true);
    expect(show({ budget_view: {}, curves_view: {} }).button("budget").disabled).toBe(true);
  });

  it("mark what the picked ratios remove", () => {
    const { budget, row } = show();
    budget.mark({ macs: 0.25, bytes: 0.1, latency: null });
    const mark = row("macs").querySelector<HTMLElement>(".slim-mark")!;
    expect(mark.style.left).toBe("25%");
    expect(row("latency").querySelector<HTMLElement>(".slim-mark")!.hidden).toBe(true);
  });

  it("tell what was timed once it was", () => {
    const times = { runtime: "onnxruntime", batch: 32, threads: 1, whole: 12.3, error: 0.043, warning: "" };
    const { budget, slider } = show({ budget_view: { reach: { ...REACH.reach, latency: 0.6 }, times } });
    expect(slider("latency").disabled).toBe(false);
    expect(budget.el.textContent).toContain("12.3 ms for 32 images, onnxruntime, 1 thread; predictions were off by at most 4 %");
  });
});
