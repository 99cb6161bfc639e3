import { beforeEach, describe, expect, it, vi } from "vitest";
import { keyRatio, snap } from "../src/curves";
import { Picker } from "../src/picker";
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
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "requestAnimationFrame", "cancelAnimationFrame"] });
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

describe("the ratio picker", () => {
  it("updates widths, totals and drop at once, and the kernel a moment later", () => {
    const { model, slider, row, total } = picker();
    move(slider("a"), 0.5);
    expect(row("a").dataset.kept).toBe("5");
    expect(row("a").textContent).toContain("10 → 5");
    expect(total("macs").dataset.value).toBe("600");
    expect(total("drop").textContent).toContain("10.0 points");
    expect(model.sent).toEqual([]);
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
    const at = (type: string, x: number, y: number) => {
      const event = new MouseEvent(type, { clientX: x, clientY: y, button: 0, bubbles: true });
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
    at("pointermove", x, y);
    expect(row("a").dataset.ratio).toBe("0.5");
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
