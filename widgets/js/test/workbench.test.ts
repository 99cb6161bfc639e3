import { describe, expect, it } from "vitest";
import slim from "../src/index";
import { parseRatios } from "../src/scan";
import { placeLabels } from "../src/scatter";
import * as format from "../src/format";
import { CURVES, FakeModel, GRAPH, context } from "./model";

const settings = {
  images: 100, images_max: 1000, ratios: "0.25, 0.5", criterion: "l1_norm", criteria: ["l1_norm", "fpgm"],
  epochs: 1, learning_rate: 0.001, teacher: false, folder: "models/half", uniform: 0.5, drop: 1,
};
const candidate = { name: "half", macs: 600, params: 80, bytes: 300, drop: 10, epochs: 1, score: 85.2 };
const trial = (name: string, score: number, macs: number, pareto: boolean) => ({
  name, score, drop: 90 - score, macs, params: 80, bytes: 300, latency: 1.5, latency_low: 1.2, latency_high: 1.9, pareto,
});

function show(traits: Record<string, unknown> = {}) {
  const model = new FakeModel({
    kind: "workbench", key: `k${Math.random()}`, heading_view: { model: "Toy", task: "digits" },
    graph_view: GRAPH, settings_view: settings, job_view: {}, curves_view: {}, picked_view: { ratios: {}, name: "picked" }, ...traits,
  });
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  const stop = slim.render({ model, el });
  const button = (action: string) => el.querySelector<HTMLButtonElement>(`[data-action="${action}"]`)!;
  const panel = (name: string) => el.querySelector<HTMLElement>(`[data-panel="${name}"]`)!;
  return { model, el, stop, button, panel, status: () => el.querySelector(".slim-status")!.textContent };
}

describe("the workbench", () => {
  it("lists the layers, and why one is frozen, as text and not as HTML", () => {
    const { panel } = show();
    const rows = [...panel("layers").querySelectorAll<HTMLElement>("tbody tr")];
    expect(rows.map((r) => r.dataset.prunable)).toEqual(["yes", "follows", "no"]);
    expect(rows[2].textContent).toContain("frozen: it is <b>odd</b>");
    expect(rows[2].querySelector("b")).toBeNull();
    expect(panel("layers").querySelector("tfoot")!.textContent).toContain("1.20 k");
  });

  it("turns its pages by click and by arrow key", () => {
    const { el, panel } = show();
    const tabs = [...el.querySelectorAll<HTMLButtonElement>(".slim-tab")];
    tabs[1].click();
    expect(panel("layers").hidden).toBe(true);
    expect(panel("pick").hidden).toBe(false);
    tabs[1].dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    expect(panel("tune").hidden).toBe(false);
    expect(tabs[2].getAttribute("aria-selected")).toBe("true");
  });

  it("opens on the same page when it is drawn anew", () => {
    const first = show({ key: "same" });
    first.el.querySelectorAll<HTMLButtonElement>(".slim-tab")[2].click();
    first.stop();
    expect(show({ key: "same" }).panel("tune").hidden).toBe(false);
  });

  it("enables each button only where it can do something", () => {
    const { model, button } = show();
    const enabled = () => ["scan", "stop", "resume", "prune", "fine_tune", "compare", "save"].filter((a) => !button(a).disabled);
    expect(enabled()).toEqual(["scan"]);
    model.set("job_view", { kind: "scan", status: "running", done: 1, total: 4 });
    expect(enabled()).toEqual(["stop"]);
    model.set("job_view", { kind: "scan", status: "stopping", done: 1, total: 4 });
    expect(enabled()).toEqual([]);
    model.set("curves_view", CURVES);
    model.set("job_view", { kind: "scan", status: "stopped", done: 3, total: 4 });
    expect(enabled()).toEqual(["scan", "resume"]);
    model.set("curves_view", { ...CURVES, complete: true });
    model.set("picked_view", { ratios: { a: 0.5 }, name: "picked", revision: 1 });
    expect(enabled()).toEqual(["scan", "prune"]);
    model.set("candidates_view", { rows: [candidate], chosen: "half" });
    expect(enabled()).toEqual(["scan", "prune", "fine_tune", "compare", "save"]);
  });

  it("sends what the controls say", () => {
    const { model, el, button } = show({ candidates_view: { rows: [candidate], chosen: "half" }, picked_view: { ratios: { a: 0.5 }, name: "picked" } });
    el.querySelector<HTMLInputElement>('[data-key="images"]')!.value = "50";
    button("scan").click();
    button("prune").click();
    button("fine_tune").click();
    button("compare").click();
    button("save").click();
    expect(model.sent).toEqual([
      { event: "scan", images: 50, ratios: "0.25, 0.5", criterion: "l1_norm" },
      { event: "prune", name: "picked" },
      { event: "fine_tune", epochs: 1, learning_rate: 0.001, teacher: false },
      { event: "compare" },
      { event: "save", name: "half", folder: "models/half" },
    ]);
  });

  it("keeps what a person wrote when older settings arrive again", () => {
    const { model, el, button } = show({ candidates_view: { rows: [candidate], chosen: "half" } });
    const epochs = el.querySelector<HTMLInputElement>('[data-key="epochs"]')!;
    epochs.value = "7";
    model.set("settings_view", { ...settings, folder: "models/other" });
    button("fine_tune").click();
    expect(model.sent[0]).toMatchObject({ event: "fine_tune", epochs: 7 });
    expect(el.querySelector<HTMLInputElement>('[data-key="folder"]')!.value).toBe("models/other");
    model.set("settings_view", { ...settings, epochs: 3 });
    expect(epochs.value).toBe("3");
  });

  it("shows how far a job is and how long yet", () => {
    const { model, el, button } = show();
    model.set("job_view", { kind: "scan", status: "running", done: 81, total: 243, left: 95, message: "Scanning: a" });
    expect(el.querySelector(".slim-counts")!.textContent).toBe("81 / 243 images, 1 min 35 s left");
    expect(el.querySelector('[role="progressbar"]')!.getAttribute("aria-valuenow")).toBe("33");
    button("stop").click();
    expect(model.sent).toEqual([{ event: "stop" }]);
    expect(button("stop").disabled).toBe(true);
  });

  it("shows errors with their traceback folded away", () => {
    const { model, el, status } = show();
    model.set("job_view", { status: "error", message: "ValueError: <i>x</i>", details: "Traceback ..." });
    expect(status()).toBe("ValueError: <i>x</i>");
    expect(el.querySelector<HTMLElement>("details")!.hidden).toBe(false);
    expect(el.querySelector("details pre")!.textContent).toBe("Traceback ...");
  });

  it("shows what went wrong beside a running job", () => {
    const { model, el, status } = show();
    model.set("job_view", { status: "running", message: "Scanning: a", warning: "Ratio 1.5 is outside [0, 1)." });
    expect(status()).toBe("Scanning: a");
    expect(el.querySelector('[role="alert"]')!.textContent).toContain("1.5");
  });

  it("draws the training", () => {
    const { panel } = show({ run_view: { name: "half", metric: "top1", unit: "%", loss: [[1, 2], [2, 1.5]], score: [[0, 40], [2, 70]], rate: [[1, 0.1], [2, 0.1]], steps: 9 } });
    const charts = [...panel("tune").querySelectorAll<HTMLElement>("[data-chart]")];
    expect(charts.map((c) => c.dataset.points)).toEqual(["2", "2", "2"]);
    expect(panel("tune").textContent).toContain("step 2 of 9, epoch 0.0; accuracy 40.0 % before, 70.0 % after");
  });

  it("compares in a table and a plot, and a mark chooses its model", () => {
    const rows = [trial("baseline", 90, 1200, true), trial("half", 88, 600, true), trial("worse", 80, 700, false)];
    const { model, panel } = show({ comparison_view: { metric: "top1", unit: "%", batch: 32, rows }, candidates_view: { rows: [candidate], chosen: "half" } });
    const table = panel("compare").querySelector(".slim-comparison")!;
    expect(table.querySelector('[data-trial="half"]')!.textContent).toContain("88.0 %");
    expect(table.querySelector('[data-trial="half"]')!.textContent).toContain("−50 %");
    expect([...table.querySelectorAll<HTMLElement>('[data-pareto="yes"]')].map((r) => r.dataset.trial)).toEqual(["baseline", "half"]);
    const axis = panel("compare").querySelector<HTMLSelectElement>('[data-key="axis"]')!;
    axis.value = "latency";
    axis.dispatchEvent(new Event("change"));
    expect(panel("compare").querySelectorAll(".slim-whiskers line")).toHaveLength(3);
    panel("compare").querySelector<SVGElement>('circle[data-trial="half"]')!.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    expect(model.sent).toEqual([{ event: "choose", name: "half" }]);
  });

  it("shows the code and the recipe of the chosen model, and hides them", () => {
    const { model, button, panel } = show({ candidates_view: { rows: [candidate], chosen: "half" } });
    button("recipe").click();
    expect(model.sent).toEqual([{ event: "recipe", name: "half" }]);
    const shown = panel("compare").querySelector<HTMLElement>(".slim-script")!;
    expect(shown.hidden).toBe(true);
    model.set("script_view", { kind: "recipe", name: "half", text: "version: 1\n<b>" });
    expect(shown.hidden).toBe(false);
    expect(shown.querySelector("pre")!.textContent).toBe("version: 1\n<b>");
    button("hide").click();
    expect(shown.hidden).toBe(true);
  });

  it("gives every control a name and a reason", () => {
    const { el } = show({ candidates_view: { rows: [candidate], chosen: "half" } });
    for (const one of el.querySelectorAll<HTMLElement>("button, input, select")) {
      const name = one.getAttribute("aria-label") ?? one.closest("label")?.textContent ?? one.textContent ?? "";
      expect(name.trim(), one.outerHTML).not.toBe("");
    }
    for (const one of el.querySelectorAll<HTMLButtonElement>(".slim-button")) expect(one.title).not.toBe("");
  });

  it("stops listening when its view goes", () => {
    const { model, stop, el } = show();
    expect(model.watched).toBeGreaterThan(10);
    stop();
    expect(model.watched).toBe(0);
    expect(el.childElementCount).toBe(0);
  });
});

describe("the single panels", () => {
  it.each(["sensitivity", "picker", "run", "comparison"])("%s draws with nothing and with something", (kind) => {
    show({ kind, graph_view: {} });
    const { model, el } = show({ kind, curves_view: CURVES });
    expect(el.querySelector(`.slim-kind-${kind}`)).not.toBeNull();
    model.set("job_view", { status: "error", message: "No." });
    expect(el.querySelector(".slim-error")!.textContent).toBe("No.");
  });
  it("names a kind that it does not know", () => {
    expect(show({ kind: "odd" }).el.textContent).toContain('"odd"');
  });
});

describe("a rebuilt view", () => {
  function typedThenRebuilt(between: (model: FakeModel) => void): HTMLInputElement {
    const { model, el, stop } = show({ curves_view: CURVES });
    const drop = el.querySelector<HTMLInputElement>('[data-key="drop"]')!;
    drop.value = "2";
    drop.dispatchEvent(new Event("input", { bubbles: true }));
    stop();
    between(model);
    slim.render({ model, el });
    return el.querySelector<HTMLInputElement>('[data-key="drop"]')!;
  }
  it("keeps what was typed and not sent yet", () => {
    expect(typedThenRebuilt(() => {}).value).toBe("2");
    const told = (model: FakeModel) => model.set("settings_view", { ...settings, uniform: 0.25 });
    expect(typedThenRebuilt(told).value).toBe("2"); // another setting changed
  });
  it("shows what the kernel says where that changed since", () => {
    expect(typedThenRebuilt((model) => model.set("settings_view", { ...settings, drop: 5 })).value).toBe("5");
  });
});

describe("ratios as text", () => {
  it("reads ranges and lists", () => {
    expect(parseRatios("0.1:0.9:0.4")).toEqual([0.1, 0.5, 0.9]);
    expect(parseRatios("0.5, 0.3 0.5")).toEqual([0.3, 0.5]);
    for (const bad of ["", "1.2", "0", "a", "0.1:0.9", "0.1:0.9:0", "0.9:0.1:0.1"]) expect(parseRatios(bad)).toBeNull();
  });
  it("refuses to scan what can't be read", () => {
    const { el, button, panel } = show();
    const ratios = el.querySelector<HTMLInputElement>('[data-key="ratios"]')!;
    ratios.value = "1.2";
    ratios.dispatchEvent(new Event("input"));
    expect(ratios.getAttribute("aria-invalid")).toBe("true");
    expect(button("scan").disabled).toBe(true);
    expect(panel("pick").textContent).toContain("Ratios are numbers between 0 and 1");
  });
});

describe("numbers for people", () => {
  it("has units and a true minus", () => {
    expect([format.count(999), format.count(1234567), format.bytes(12_345)]).toEqual(["999", "1.23 M", "12.3 kB"]);
    expect([format.removed(200, 90), format.fixed(-0.001, 2), format.fixed(-1.5, 1)]).toEqual(["−55 %", "0.00", "−1.5"]);
    expect([format.seconds(59.6), format.seconds(3700), format.score(91.234, "%")]).toEqual(["1 min 00 s", "1 h 01 min", "91.2 %"]);
  });
  it("keeps labels apart", () => {
    const marks = [0, 1, 2, 3].map((n) => ({ x: 300 + n, y: 120 + n, text: `model ${n}` }));
    const spots = placeLabels(marks, 640);
    for (let i = 0; i < 4; i += 1) {
      for (let j = 0; j < i; j += 1) {
        const apart = Math.abs(spots[i].y - spots[j].y) >= 13 || Math.abs(spots[i].x - spots[j].x) >= 50;
        expect(apart, JSON.stringify(spots)).toBe(true);
      }
    }
  });
  it("forgets nothing of a context", () => {
    const { ctx } = context();
    expect(ctx.busy).toBe(false);
  });
});
