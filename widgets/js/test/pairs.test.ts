import { describe, expect, it } from "vitest";
import { Pairs } from "../src/pairs";
import { context } from "./model";

const VIEW = {
  possible: true, name: "half",
  student: [{ layer: "s1", shape: [4, 8, 8] }, { layer: "s2", shape: [8, 4, 4] }],
  teacher: [{ layer: "t1", shape: [8, 8, 8] }, { layer: "t2", shape: [16, 4, 4] }],
  pairs: [["s1", "t1"], ["s2", "t2"]] as [string, string][],
};

function show(pairs_view: Record<string, unknown> = VIEW) {
  const { ctx, model } = context({ pairs_view, settings_view: { teacher: true, pair_loss: "attention", pair_weight: 100 }, job_view: {} });
  const panel = new Pairs(ctx);
  document.body.replaceChildren(panel.el);
  const end = (name: string) => panel.el.querySelector<SVGElement>(`[data-end="${name}"]`)!;
  const click = (el: Element) => el.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  return { panel, model, end, click };
}

describe("pairs for distillation", () => {
  it("say what is needed before there are any", () => {
    expect(show({ possible: false }).panel.el.textContent).toContain("Prune a model first");
    const { panel, model } = show({ possible: true, name: "half" });
    expect(panel.el.textContent).toContain("Press Suggest pairs");
    panel.el.querySelector<HTMLButtonElement>('[data-action="pairs"]')!.click();
    expect(model.sent).toEqual([{ event: "suggest_pairs" }]);
  });

  it("are lines with names, and each can be taken away by click and by key", () => {
    const { panel, model, click } = show();
    const lines = [...panel.el.querySelectorAll<SVGElement>(".slim-pair")];
    expect(lines.map((l) => l.dataset.pair)).toEqual(["s1|t1", "s2|t2"]);
    expect(panel.el.textContent).toContain("s1 (4 × 8 × 8)");
    click(lines[0]);
    expect(model.sent.pop()).toEqual({ event: "pair", pairs: [["s2", "t2"]] });
    lines[1].dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    expect(model.sent.pop()).toEqual({ event: "pair", pairs: [["s1", "t1"]] });
  });

  it("are made by two clicks, in either order; a student's layer learns from one", () => {
    const { model, end, click } = show();
    click(end("teacher:t2"));
    expect(end("teacher:t2").classList.contains("slim-held")).toBe(true);
    click(end("student:s1"));
    expect(model.sent.pop()).toEqual({ event: "pair", pairs: [["s2", "t2"], ["s1", "t2"]] });
    click(end("student:s1"));
    click(end("student:s1"));
    expect(end("student:s1").classList.contains("slim-held")).toBe(false);
    expect(model.sent).toEqual([]);
  });
});
