import { describe, expect, it } from "vitest";
import slim from "../src/index";
import { arrange } from "../src/map";
import { CURVES, FakeModel, GRAPH } from "./model";

const WIRING = {
  nodes: [["input", "input"], ["a", "layer"], ["b", "layer"], ["add 1", "join"], ["output", "output"]] as [string, string][],
  edges: [[0, 1], [1, 2], [2, 3], [1, 3], [3, 4]] as [number, number][],
};
const layers = GRAPH.layers!.map((row) => (row.layer === "a" ? row : { ...row, reason: "reaches the output" }));
const graph = { ...GRAPH, layers, wiring: WIRING };
const settings = { images: 100, images_max: 1000, ratios: "0.25, 0.5", criterion: "l1_norm", criteria: ["l1_norm"], epochs: 1, learning_rate: 0.001, teacher: false, folder: "", uniform: 0.5, drop: 1, remove_macs: 0.5, remove_bytes: 0, remove_latency: 0 };
const trial = (name: string, score: number, macs: number, more = {}) => ({
  name, score, drop: 90 - score, macs, params: 80, bytes: 300, latency: 1.5, latency_low: 1.2, latency_high: 1.9, pareto: true, predicted: null, cut_drop: null, ...more,
});
const candidate = (name: string, ratios: Record<string, number>) => ({ name, macs: 600, params: 80, bytes: 300, drop: 10, epochs: 0, score: 85, ratios });

function show(traits: Record<string, unknown> = {}) {
  const model = new FakeModel({
    kind: "workbench", key: `l${Math.random()}`, heading_view: {}, graph_view: graph, settings_view: settings, job_view: {},
    curves_view: CURVES, picked_view: { ratios: {}, name: "picked" }, ...traits,
  });
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  slim.render({ model, el });
  const node = (name: string) => el.querySelector<SVGElement>(`.slim-node[data-node="${name}"]`)!;
  return { model, el, node };
}
const pointer = (type: string, x: number, y: number, buttons = 1) => {
  const event = new MouseEvent(type, { bubbles: true, clientX: x, clientY: y, button: 0, buttons });
  return event;
};

describe("the network map", () => {
  it("puts the longest way in one line, and each node behind what it reads", () => {
    const nodes = arrange(WIRING.nodes, WIRING.edges);
    expect(nodes.map((n) => n.column)).toEqual([0, 1, 2, 3, 4]);
    expect(nodes.map((n) => n.lane)).toEqual([0, 0, 0, 0, 0]);
    const branch = arrange([["input", "input"], ["a", "layer"], ["b", "layer"], ["short", "layer"], ["add 1", "join"]], [[0, 1], [1, 2], [2, 4], [0, 3], [3, 4]]);
    expect(branch[3].lane).toBe(1);
    for (const [a, b] of [[0, 1], [1, 2], [2, 4], [0, 3], [3, 4]]) expect(branch[a].column).toBeLessThan(branch[b].column);
  });

  it("survives a layer that feeds itself", () => {
    expect(arrange([["input", "input"], ["twice", "layer"]], [[0, 1], [1, 1]]).map((n) => n.column)).toEqual([0, 1]);
  });

  it("colours layers by what they lose, and says why one is frozen", () => {
    const { node, el } = show();
    expect(node("a").style.getPropertyValue("--heat")).toBe("50%"); // 10 points at 0.5, the worst curve 20
    expect(node("b").dataset.prunable).toBe("no");
    node("b").dispatchEvent(new Event("pointerenter"));
    expect(el.querySelector(".slim-map-caption")!.textContent).toBe("b (Conv2D): frozen: reaches the output");
    expect(node("b").getAttribute("aria-label")).toContain("frozen: reaches the output");
  });

  it("selects in the curves what is clicked on it, and shows what is selected there", () => {
    const free = { ...graph, layers: layers.map((row) => (row.layer === "b" ? { ...row, prunable: true, group: "b" } : row)) };
    const { el, node } = show({ graph_view: free });
    node("b").dispatchEvent(new MouseEvent("click", { bubbles: true }));
    expect(el.querySelector(".slim-handle")!.getAttribute("data-layer")).toBe("b");
    expect(el.querySelector('.slim-row[data-layer="b"]')!.classList.contains("slim-selected")).toBe(true);
    el.querySelector<HTMLElement>('.slim-row[data-layer="a"]')!.click();
    expect(node("a").classList.contains("slim-selected")).toBe(true);
    expect(node("b").classList.contains("slim-selected")).toBe(false);
    node("a").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    expect(document.activeElement).toBe(node("b"));
    node("b").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    expect(node("b").classList.contains("slim-selected")).toBe(true);
  });

  it("shows how much of a layer is cut", () => {
    const { node } = show({ picked_view: { ratios: { a: 0.5 }, name: "picked", revision: 1 } });
    expect(Number(node("a").querySelector(".slim-gone")!.getAttribute("height"))).toBeGreaterThan(5);
    expect(node("a").dataset.ratio).toBe("0.5");
  });
});

describe("the comparison", () => {
  const rows = [trial("baseline", 90, 1200), trial("half", 88, 600, { predicted: 2.5, cut_drop: 4 }), trial("third", 70, 400, { predicted: 15, cut_drop: 20 })];
  const traits = { comparison_view: { metric: "top1", unit: "%", batch: 32, rows }, candidates_view: { rows: [candidate("half", { a: 0.5 }), candidate("third", { a: 0.25, b: 0.5 })], chosen: "half" } };

  it("highlights what is brushed, with the ratios of it", () => {
    const { el, model } = show(traits);
    const svg = el.querySelector<SVGElement>(".slim-scatter")!;
    const mark = svg.querySelector('circle[data-trial="third"]')!;
    const [x, y] = [Number(mark.getAttribute("cx")), Number(mark.getAttribute("cy"))];
    svg.dispatchEvent(pointer("pointerdown", x - 20, y - 20));
    svg.dispatchEvent(pointer("pointermove", x + 10, y + 10));
    svg.dispatchEvent(pointer("pointerup", x + 10, y + 10, 0));
    expect([...el.querySelectorAll<HTMLElement>(".slim-comparison tr.slim-brushed")].map((r) => r.dataset.trial)).toEqual(["third"]);
    const bars = [...el.querySelectorAll<HTMLElement>('[data-brushed="third"] .slim-ratiobar')];
    expect(bars.map((b) => b.dataset.ratio)).toEqual(["0.25", "0.5"]);
    bars[1].click();
    expect(bars[1].isConnected ? "same" : "redrawn").toBe("redrawn");
    expect(el.querySelector('.slim-row[data-layer="b"]')!.classList.contains("slim-selected")).toBe(true);
    el.querySelector<HTMLButtonElement>('[data-action="reuse"]')!.click();
    expect(model.sent.pop()).toEqual({ event: "reuse", name: "third" });
    svg.dispatchEvent(pointer("pointerdown", 60, 25));
    svg.dispatchEvent(pointer("pointerup", 60, 25, 0));
    expect(el.querySelectorAll(".slim-comparison tr.slim-brushed")).toHaveLength(0);
  });

  it("takes all models whose marks lie on one another, and chooses one after the other", () => {
    const rows = (traits.comparison_view as any).rows.map((row: any) => (row.name === "third" ? { ...row, macs: 600, score: 87.5 } : row.name === "half" ? { ...row, macs: 600, score: 87.5 } : row));
    const { el, model } = show({ ...traits, comparison_view: { ...(traits.comparison_view as any), rows } });
    const top = el.querySelector<SVGElement>('.slim-scatter circle[data-trial="third"]')!;
    const click = () => el.querySelector<SVGElement>('.slim-scatter circle[data-trial="third"]')!.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    expect(top.getAttribute("cx")).toBe(el.querySelector('.slim-scatter circle[data-trial="half"]')!.getAttribute("cx"));
    click();
    expect(el.querySelectorAll(".slim-comparison tr.slim-brushed")).toHaveLength(2);
    const first = model.sent[model.sent.length - 1].name;
    model.set("candidates_view", { ...(traits.candidates_view as any), chosen: first });
    click();
    expect(new Set([first, model.sent[model.sent.length - 1].name])).toEqual(new Set(["half", "third"]));
  });

  it("leaves the unpruned model alone: there is nothing to do with it", () => {
    const { el, model } = show(traits);
    el.querySelector<SVGElement>('.slim-scatter circle[data-trial="baseline"]')!.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    expect(model.sent).toEqual([]);
  });

  it("sets predicted and measured drops side by side", () => {
    const { el } = show(traits);
    expect(el.querySelector('.slim-comparison [data-trial="half"]')!.textContent).toContain("2.50 (4.00)");
    const axis = el.querySelector<HTMLSelectElement>('[data-panel="compare"] [data-key="axis"]')!;
    axis.value = "predicted";
    axis.dispatchEvent(new Event("change"));
    const marks = [...el.querySelectorAll<SVGElement>("[data-predicted]")];
    expect(marks.map((m) => m.dataset.predicted)).toEqual(["half", "third"]);
    expect(el.querySelector(".slim-scatter")!.closest("[hidden]")).not.toBeNull();
    expect(el.querySelector(".slim-predicted title")!.textContent).toContain("half 2.5 predicted, 4.0 measured");
  });

  it("writes a report once something was compared", () => {
    const report = (el: HTMLElement) => el.querySelector<HTMLButtonElement>('[data-action="report"]')!;
    expect(report(show().el).disabled).toBe(true);
    const { el, model } = show(traits);
    report(el).click();
    expect(model.sent).toEqual([{ event: "report" }]);
  });
});

describe("the run monitor", () => {
  const run = { name: "half", metric: "top1", unit: "%", loss: [[1, 2], [3, 1.5]], score: [[0, 40], [3, 70]], rate: [[1, 0.01], [3, 0.005]], epoch: 0.3, steps: 9 };

  it("tells step, epoch, time left and learning rate while it runs, and what was won after", () => {
    const { el, model } = show({ run_view: run, job_view: { kind: "fine-tune", status: "running", left: 75, done: 3, total: 9 } });
    const note = el.querySelector<HTMLElement>(".slim-run-note")!;
    expect(note.textContent).toBe("half: step 3 of 9, epoch 0.3, 1 min 15 s left; accuracy 40.0 % before, 70.0 % now; learning rate 0.0050.");
    expect(note.dataset.left).toBe("75");
    expect(el.querySelector<HTMLElement>('[data-chart="rate"]')!.dataset.points).toBe("2");
    model.set("job_view", { kind: "fine-tune", status: "done" });
    expect(note.textContent).toBe("half: step 3 of 9, epoch 0.3; accuracy 40.0 % before, 70.0 % after.");
    expect(note.dataset.left).toBe("");
  });
});
