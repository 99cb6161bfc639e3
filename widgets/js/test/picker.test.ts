import { beforeEach, describe, expect, it, vi } from "vitest";
import { CurvesPlot, keyRatio, snap } from "../src/curves";
import { Picker } from "../src/picker";
import { Context } from "../src/context";
import slim from "../src/index";
import { CURVES, GRAPH, context } from "./model";

const key = (el: Element, name: string, options = {}) => {
  const event = new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...options });
  el.dispatchEvent(event);
  return event;
};

function picker(traits: Record<string, unknown> = {}) {
  const { ctx, model } = context({ graph_view: GRAPH, curves_view: CURVES, picked_view: { ratios: {}, revision: 0 }, ...traits });
  const panel = new Picker(ctx);
  document.body.replaceChildren(panel.el);
  const slider = (layer: string) => panel.el.querySelector<HTMLInputElement>(`[data-layer="${layer}"] input`)!;
  const row = (layer: string) => panel.el.querySelector<HTMLElement>(`.slim-row[data-layer="${layer}"]`)!;
  const total = (name: string) => panel.el.querySelector<HTMLElement>(`[data-total="${name}"]`)!;
  return { ctx, model, panel, slider, row, total, handle: panel.el.querySelector<SVGElement>(".slim-handle")! };
}

const move = (slider: HTMLInputElement, value: number) => {
  slider.value = String(value);
  slider.dispatchEvent(new Event("input"));
  vi.advanceTimersByTime(20);
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout", "requestAnimationFrame", "cancelAnimationFrame"] });
});

describe("steps of a ratio", () => {
  it("snaps without floating dust", () => {
    expect([0.1 + 0.2, 0.499, 0.005].map((r) => snap(r))).toEqual([0.3, 0.5, 0.01]);
  });
  it("knows the keys", () => {
    expect(keyRatio("ArrowRight", false, 0.3, 0.9)).toBe(0.35);
    expect(keyRatio("ArrowLeft", true, 0.3, 0.9)).toBe(0.29);
    expect(keyRatio("ArrowLeft", false, 0.02, 0.9)).toBe(0);
    expect(keyRatio("End", false, 0.3, 0.9)).toBe(0.9);
    expect(keyRatio("a", false, 0.3, 0.9)).toBeNull();
  });
});

describe("a hand", () => {
  const traits = { graph_view: GRAPH, curves_view: CURVES, picked_view: { ratios: {}, revision: 0 } };
  const shown = (panel: Picker, layer: string) => panel.el.querySelector<HTMLElement>(`.slim-row[data-layer="${layer}"]`)!.dataset.ratio;

  it("loses nothing when its view is rebuilt before the kernel knows", () => {
    const first = context({ key: "rebuilt", ...traits });
    const before = new Picker(first.ctx);
    move(before.el.querySelector<HTMLInputElement>('[data-layer="a"] input')!, 0.5);
    first.ctx.stop();
    const after = new Picker(new Context(first.model)); // nothing was sent yet
    expect(shown(after, "a")).toBe("0.5");
    vi.advanceTimersByTime(100);
    expect(first.model.sent.map((m) => m.ratios)).toEqual([{ a: 0.5 }]);
    const again = new Picker(new Context(first.model)); // sent, not answered
    expect(shown(again, "a")).toBe("0.5");
    const { view } = first.model.sent[0];
    first.model.set("picked_view", { ratios: { a: 0.5 }, view, seq: 1, revision: 1 });
    expect(shown(again, "a")).toBe("0.5");
  });

  it("goes on with a drag in the view that took the place of its own", () => {
    const one = context({ key: "dragged", ...traits });
    const before = new Picker(one.ctx);
    const send = (panel: Picker, type: string, x: number, y: number, buttons = 1) => {
      panel.el.querySelector("svg")!.dispatchEvent(new MouseEvent(type, { clientX: x, clientY: y, button: 0, buttons, bubbles: true }));
      vi.advanceTimersByTime(20);
    };
    const handle = before.el.querySelector(".slim-handle")!;
    const [x, y] = [Number(handle.getAttribute("cx")), Number(handle.getAttribute("cy"))];
    send(before, "pointerdown", x, y);
    send(before, "pointermove", x + 100, y);
    one.ctx.stop();
    const after = new Picker(new Context(one.model));
    send(after, "pointermove", x + 200, y);
    const ratio = Number(shown(after, "a"));
    expect(ratio).toBeGreaterThan(0.2);
    send(after, "pointermove", x + 300, y, 0); // let go in between
    expect(Number(shown(after, "a"))).toBe(ratio);
  });

  it("shows in every view of the widget at once", () => {
    const one = context({ key: "two", ...traits });
    const [left, right] = [new Picker(one.ctx), new Picker(new Context(one.model))];
    move(left.el.querySelector<HTMLInputElement>('[data-layer="b"] input')!, 0.25);
    expect(shown(right, "b")).toBe("0.25");
  });

  it("makes one stroke of the keys on a layer, and begins another with each press of the pointer", () => {
    const { model } = context({ key: "strokes", kind: "picker", ...traits });
    const el = document.createElement("div");
    const stop = slim.render({ model, el });
    const slider = (layer: string) => el.querySelector<HTMLInputElement>(`[data-layer="${layer}"] input`)!;
    const press = (layer: string) => {
      key(slider(layer), "ArrowRight");
      vi.advanceTimersByTime(5000); // no clock ends a stroke
    };
    press("a");
    press("a");
    slider("a").dispatchEvent(new MouseEvent("pointerdown", { bubbles: true }));
    press("a");
    press("b");
    const strokes = model.sent.filter((m) => m.event === "ratios").map((m) => m.stroke);
    expect(strokes[1]).toBe(strokes[0]);
    expect(new Set(strokes).size).toBe(3);
    stop();
  });

  it("tells the kernel that it is at work, not more than twice a second", () => {
    const { model } = context({ key: "touch", kind: "picker", ...traits });
    const el = document.createElement("div");
    const stop = slim.render({ model, el });
    const now = vi.spyOn(Date, "now");
    for (const [time, said] of [[10_000, 1], [10_400, 1], [10_600, 2]]) {
      now.mockReturnValue(time);
      el.querySelector(".slim-strip")!.dispatchEvent(new MouseEvent("pointerdown", { bubbles: true }));
      expect(model.sent.filter((m) => m.event === "touch")).toHaveLength(said);
    }
    now.mockRestore();
    stop();
  });
});

describe("the ratio picker", () => {
  it("updates widths, totals and drop at once, and the kernel a moment later", () => {
    const { model, slider, row, total } = picker();
    move(slider("a"), 0.5);
    expect(row("a").dataset.kept).toBe("5");
    expect(row("a").textContent).toContain("10 → 5");
    expect(total("macs").dataset.value).toBe("600");
    expect(total("drop").textContent).toContain("10.0 points");
    vi.advanceTimersByTime(100);
    expect(model.sent).toHaveLength(1);
    expect(model.sent[0]).toMatchObject({ event: "ratios", ratios: { a: 0.5 }, seq: 1 });
  });

  it("sends many moves as one message with the last ratios", () => {
    const { model, slider } = picker();
    for (const value of [0.1, 0.2, 0.3]) {
      slider("a").value = String(value);
      slider("a").dispatchEvent(new Event("input"));
    }
    vi.advanceTimersByTime(100);
    expect(model.sent.map((m) => [m.ratios.a, m.seq])).toEqual([[0.3, 3]]);
  });

  it("tells a first move at once and the moves after it now and then", () => {
    const { model, slider } = picker();
    const go = (value: number) => {
      slider("a").value = String(value);
      slider("a").dispatchEvent(new Event("input"));
      vi.advanceTimersByTime(16);
    };
    go(0.1);
    expect(model.sent.map((m) => m.ratios.a)).toEqual([0.1]);
    for (const value of [0.2, 0.3, 0.45]) go(value);
    vi.advanceTimersByTime(15); // 79 ms after the first
    expect(model.sent).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(model.sent.map((m) => m.ratios.a)).toEqual([0.1, 0.45]);
  });

  it("never mixes moves of two layers in one message", () => {
    const { model, slider } = picker();
    for (const layer of ["a", "b"]) {
      slider(layer).value = "0.3";
      slider(layer).dispatchEvent(new Event("input"));
    }
    vi.advanceTimersByTime(100);
    expect(model.sent.map((m) => m.ratios)).toEqual([{ a: 0.3 }, { a: 0.3, b: 0.3 }]);
  });

  it("says when the kernel has the same numbers, and when not", () => {
    const { model, slider, panel } = picker();
    move(slider("a"), 0.5);
    vi.advanceTimersByTime(100);
    const confirmed = () => panel.el.querySelector<HTMLElement>(".slim-confirmed")!;
    expect(confirmed().dataset.confirmed).toBe("waiting");
    const { view } = model.sent[0];
    const preview = { macs: 600, params: 87, bytes: 348, drop: 10, widths: {} };
    model.set("picked_view", { ratios: { a: 0.5 }, view, seq: 1, revision: 1, preview });
    expect(confirmed().dataset.confirmed).toBe("yes");
    model.set("picked_view", { ratios: { a: 0.5 }, view, seq: 1, revision: 1, preview: { ...preview, macs: 601 } });
    expect(confirmed().dataset.confirmed).toBe("no");
  });

  it("is not pulled back by an answer to an older move", () => {
    const { model, slider, row } = picker();
    move(slider("a"), 0.3);
    vi.advanceTimersByTime(100);
    move(slider("a"), 0.5);
    vi.advanceTimersByTime(100);
    const { view } = model.sent[0];
    model.set("picked_view", { ratios: { a: 0.3 }, view, seq: 1, revision: 1 });
    expect(row("a").dataset.ratio).toBe("0.5");
    model.set("picked_view", { ratios: { a: 0.5 }, view, seq: 2, revision: 2 });
    expect(row("a").dataset.ratio).toBe("0.5");
  });

  it("keeps the hand's ratios while a scan republishes old ones", () => {
    const { model, slider, row } = picker();
    move(slider("a"), 0.4);
    vi.advanceTimersByTime(100);
    model.set("picked_view", { ratios: {}, revision: 0, preview: null });
    expect(row("a").dataset.ratio).toBe("0.4");
  });

  it("takes ratios that code or a button set", () => {
    const { model, row, slider } = picker();
    move(slider("a"), 0.4);
    vi.advanceTimersByTime(100);
    model.set("picked_view", { ratios: { a: 0.1, b: 0.25 }, revision: 5 });
    expect([row("a").dataset.ratio, row("b").dataset.ratio]).toEqual(["0.1", "0.25"]);
    expect(slider("b").value).toBe("0.25");
  });

  it("works by keyboard on the curve's point", () => {
    const { handle, row, ctx } = picker();
    expect(handle.getAttribute("role")).toBe("slider");
    expect(handle.getAttribute("aria-label")).toBe("Pruning ratio of a");
    expect(handle.getAttribute("data-lm-suppress-shortcuts")).toBe("true");
    const pressed = key(handle, "ArrowRight");
    expect(pressed.defaultPrevented).toBe(true);
    vi.advanceTimersByTime(20);
    expect(row("a").dataset.ratio).toBe("0.05");
    expect(handle.getAttribute("aria-valuenow")).toBe("0.05");
    key(handle, "End"); // as far as the layer was measured
    vi.advanceTimersByTime(20);
    expect(row("a").dataset.ratio).toBe("0.5");
    key(handle, "ArrowDown");
    expect(ctx.memory.selected).toBe("b");
  });

  it("works by keyboard on a slider, and keeps the keys from JupyterLab", () => {
    const { slider, row } = picker();
    const outside = vi.fn();
    document.body.addEventListener("keydown", outside);
    key(slider("b"), "ArrowUp", { shiftKey: true });
    vi.advanceTimersByTime(20);
    expect(row("b").dataset.ratio).toBe("0.01");
    expect(outside).not.toHaveBeenCalled();
    expect(slider("b").getAttribute("aria-label")).toBe("Pruning ratio of b");
    document.body.removeEventListener("keydown", outside);
  });

  it("follows a pointer that drags a point along its curve", () => {
    const { panel, row, handle } = picker();
    const svg = panel.el.querySelector("svg")!;
    let held = 1;
    const at = (type: string, x: number, y: number) => {
      const event = new MouseEvent(type, { clientX: x, clientY: y, button: 0, buttons: type === "pointerup" ? 0 : held, bubbles: true });
      svg.dispatchEvent(event);
      vi.advanceTimersByTime(20);
    };
    const [x, y] = [Number(handle.getAttribute("cx")), Number(handle.getAttribute("cy"))];
    at("pointerdown", x, y);
    at("pointermove", x + 1, y);
    expect(row("a").dataset.ratio).toBe("0"); // a click with a trembling hand only selects
    at("pointermove", x + 200, y);
    const ratio = Number(row("a").dataset.ratio);
    expect(ratio).toBeGreaterThan(0.2);
    expect(Number(handle.getAttribute("cx"))).toBeCloseTo(52 + (ratio / 0.9) * (640 - 14 - 52), 6);
    at("pointermove", x + 2000, y);
    expect(row("a").dataset.ratio).toBe("0.5");
    at("pointerup", x, y);
    held = 0;
    at("pointermove", x, y);
    expect(row("a").dataset.ratio).toBe("0.5");
  });

  it("undoes and redoes by key and by button, after the last move was sent", () => {
    const { model, slider, panel } = picker({ picks_view: { undo: "picked", redo: "half", snapshots: [] } });
    move(slider("a"), 0.5);
    const pressed = key(slider("a"), "z", { ctrlKey: true });
    expect(pressed.defaultPrevented).toBe(true);
    key(slider("a"), "Z", { ctrlKey: true, shiftKey: true });
    key(slider("a"), "y", { ctrlKey: true });
    panel.el.querySelector<HTMLButtonElement>('[data-action="undo"]')!.click();
    expect(model.sent.map((m) => m.event)).toEqual(["ratios", "undo", "redo", "redo", "undo"]);
    expect(model.sent[0].ratios).toEqual({ a: 0.5 });
    const typing = panel.el.querySelector<HTMLInputElement>('[data-key="uniform"]')!;
    expect(key(typing, "z", { ctrlKey: true }).defaultPrevented).toBe(false); // the text's own undo
    expect(model.sent).toHaveLength(5);
  });

  it("has undo only where there is something to undo", () => {
    const { model, panel } = picker({ picks_view: { undo: null, redo: null, snapshots: [] } });
    const undo = panel.el.querySelector<HTMLButtonElement>('[data-action="undo"]')!;
    expect(undo.disabled).toBe(true);
    model.set("picks_view", { undo: "uniform 0.50", redo: null, snapshots: [] });
    expect(undo.disabled).toBe(false);
    expect(undo.title).toContain("uniform 0.50");
  });

  it("keeps, takes and forgets snapshots", () => {
    const snapshots = [{ name: "half", macs: 600, drop: 10 }];
    const { model, panel } = picker({ picks_view: { undo: null, redo: null, snapshots } });
    const name = panel.el.querySelector<HTMLInputElement>('[data-key="snapshot"]')!;
    name.value = "mine";
    key(name, "Enter");
    expect(name.value).toBe("");
    const [take, forget] = [...panel.el.querySelectorAll<HTMLButtonElement>('[data-snapshot="half"] button')];
    expect(take.title).toContain("600 MACs (\u221250 %), predicted drop 10.0 points");
    take.click();
    forget.click();
    expect(model.sent).toEqual([{ event: "keep", name: "mine" }, { event: "take", name: "half" }, { event: "forget", name: "half" }]);
  });

  it("asks the kernel for uniform ratios and accepted drops", () => {
    const { model, panel } = picker();
    panel.el.querySelector<HTMLButtonElement>('[data-action="uniform"]')!.click();
    panel.el.querySelector<HTMLButtonElement>('[data-action="drop"]')!.click();
    expect(model.sent).toEqual([{ event: "uniform", value: 0.5 }, { event: "drop", value: 1 }]);
  });

  it("explains itself before a scan", () => {
    const { panel, total } = picker({ curves_view: {} });
    expect(panel.el.querySelector(".slim-empty")!.textContent).toContain("Press Scan");
    expect(panel.el.querySelector(".slim-empty")!.hasAttribute("hidden")).toBe(false);
    expect(total("drop").textContent).toContain("scan first");
    expect(panel.el.querySelector<HTMLButtonElement>('[data-action="drop"]')!.disabled).toBe(true);
  });

  it("grows with the scan", () => {
    const { panel, model } = picker({ curves_view: {} });
    model.set("curves_view", { ...CURVES, curves: CURVES.curves!.slice(0, 1) });
    expect(panel.el.querySelectorAll(".slim-curve")).toHaveLength(1);
    model.set("curves_view", CURVES);
    expect(panel.el.querySelectorAll(".slim-curve")).toHaveLength(2);
    expect(panel.el.querySelector('.slim-curve[data-layer="a"]')!.getAttribute("data-points")).toBe("2");
    model.set("curves_view", {});
    expect(panel.el.querySelectorAll(".slim-curve")).toHaveLength(0);
  });
});

describe("the curves of a scan of bits", () => {
  const plot = (bits?: number[]) => {
    const curves = new CurvesPlot({ select: () => undefined }, "nothing");
    curves.update({ ...CURVES, ratios: [0.75, 0.875], bits }, {}, "a");
    return curves.el;
  };

  it("name bits where those of pruning name ratios", () => {
    const [bits, ratios] = [plot([8, 4]), plot()];
    const axis = (el: HTMLElement) => [...el.querySelectorAll('.slim-grid text[text-anchor="middle"]')].map((t) => t.textContent);
    expect(axis(bits).slice(0, 3)).toEqual(["32", "8", "4"]);
    expect(axis(bits)).toContain("Bits of a layer's weights");
    expect(axis(ratios)).toContain("Pruning ratio (share of a layer's channels removed)");
    expect(bits.querySelector("title")!.textContent).toContain("against bits of the weights");
    expect(bits.querySelector(".slim-caption")!.textContent).toContain("2 grids measured");
    expect(ratios.querySelector(".slim-caption")!.textContent).toContain("2 ratios measured");
  });
});
