import fixture from "../../../tests/widgets/fixtures/predictions.json";
import { describe, expect, it } from "vitest";
import { evaluate, interpolate, keptWidth, predict, roundHalfEven, valueAt } from "../src/cost";
import { latency, layerTime } from "../src/latency";
import { byLayer, unpack } from "../src/unpack";
import { CURVES, GRAPH, packed } from "./model";

describe("channels kept", () => {
  it("rounds halves to the even neighbour, as Python does", () => {
    expect([0.5, 1.5, 2.5, 3.5, 2.4, 2.6].map(roundHalfEven)).toEqual([0, 2, 2, 4, 2, 3]);
  });
  it("keeps width - round(width * ratio), at least one", () => {
    expect(keptWidth(10, 0.25)).toBe(8); // round(2.5) = 2
    expect(keptWidth(10, 0.35)).toBe(6); // 3.5 -> 4
    expect(keptWidth(16, 0.5)).toBe(8);
    expect(keptWidth(3, 0.95)).toBe(1);
    expect(keptWidth(7, 0)).toBe(7);
  });
});

describe("predictions", () => {
  it("adds up the terms", () => {
    // 100*10 + 5*10*4 MACs; 9*10 + 10*4 + 2*(3 + 2*4) parameters
    expect(evaluate(GRAPH.cost!, [10, 4])).toEqual({ macs: 1200, params: 152, bytes: 608 });
    expect(evaluate(GRAPH.cost!, [5, 2])).toEqual({ macs: 550, params: 69, bytes: 276 });
  });
  it("puts the drops of what was measured together and counts the rest", () => {
    // a keeps 80 of 90 points, b 70 of 90: together 90 * 8/9 * 7/9 are left
    const now = predict(GRAPH.cost!, { a: 0.5, b: 0.25 }, CURVES);
    expect(now.drop).toBeCloseTo(90 - (90 * 56) / 81, 10);
    expect(now.unmeasured).toBe(0);
    expect(predict(GRAPH.cost!, { a: 0.5, b: 0.25 }, { ...CURVES, unit: "" }).drop).toBeCloseTo(30, 10);
    const partial = predict(GRAPH.cost!, { a: 0.5, b: 0.5 }, { ...CURVES, curves: CURVES.curves!.slice(0, 1) });
    expect(partial.drop).toBeCloseTo(10, 10);
    expect(partial.unmeasured).toBe(1);
    expect(predict(GRAPH.cost!, { b: 0.1 }, CURVES).drop).toBe(0); // not one of 4 channels goes
    expect(predict(GRAPH.cost!, { a: 0.5 }, {}).drop).toBeNull();
  });
  it("is flat beyond the last ratio", () => {
    expect(interpolate([[0, 0], [0.5, 4]], 0.9)).toBe(4);
    expect(interpolate([[0, 0], [0.5, 4]], 0.25)).toBe(2);
    expect(interpolate([], 0.5)).toBe(0);
  });
  it("follows the drawn line from the baseline", () => {
    const [a] = CURVES.curves!;
    expect(valueAt(a, 90, 0)).toBe(90);
    expect(valueAt(a, 90, 0.125)).toBe(89);
    expect(valueAt(a, 90, 0.375)).toBe(84);
    expect(valueAt(a, 90, 0.9)).toBe(80);
  });
});

describe("the core's numbers", () => {
  const shared: any = { ...fixture, curves: unpack(fixture.curves as any) };
  it.each([...shared.cases.keys()] as number[])("case %i is predicted exactly", (i) => {
    const c = shared.cases[i];
    const now = predict(shared.cost, c.ratios, shared.curves);
    expect({ macs: now.macs, params: now.params, bytes: now.bytes }).toEqual({
      macs: c.preview.macs, params: c.preview.params, bytes: c.preview.bytes,
    });
    expect(now.drop).toBeCloseTo(c.preview.drop, 9);
    expect(latency(shared.times, shared.cost.groups, now.kept)! / c.preview.latency).toBeCloseTo(1, 8);
    expect(Object.fromEntries(shared.cost.groups.map((g: string, i: number) => [g, now.kept[i]]))).toEqual(
      Object.fromEntries(Object.entries<[number, number]>(c.preview.widths).map(([g, pair]) => [g, pair[1]])),
    );
  });
});

describe("milliseconds", () => {
  const layer = { inputs: [0, [[0, 1]]], outputs: [0, [[1, 1]]], read: [2, 4], made: [4, 8], ms: [[1, 2], [3, 5]] } as any;
  it("are read between what was measured, and are those of the ends beyond", () => {
    expect([layerTime(layer, 2, 4), layerTime(layer, 4, 8), layerTime(layer, 3, 6), layerTime(layer, 1, 4), layerTime(layer, 9, 9)]).toEqual([1, 5, 2.75, 1, 5]);
    expect(layerTime({ ...layer, read: [3], ms: [[1, 2]] }, 3, 6)).toBe(1.5);
  });
  it("add up, with what lies between the layers", () => {
    const times = { layers: [layer, layer], groups: [["a", 4], ["b", 8]] as [string, number][], base: 0.5, factor: 2 };
    expect(latency(times, ["a", "b"], [4, 8])).toBe(20.5);
    expect(latency(times, ["b", "a"], [4, 2])).toBe(4.5); // by name
    expect(latency({}, ["a", "b"], [4, 8])).toBeNull();
  });
});

describe("the curves as they are sent", () => {
  it("are objects here, and the same ones as long as nothing of them changed", () => {
    const first = unpack(packed(CURVES));
    expect(first).toEqual(CURVES);
    const next = structuredClone(packed(CURVES));
    next.curves[1].points.push([0.5, 60, 59, 61]);
    next.measured = 4;
    const second = unpack(next, first);
    expect(second.curves![0]).toBe(first.curves![0]);
    expect(second.curves![1].points).toHaveLength(2);
    expect(second.measured).toBe(4);
    const fit = structuredClone(next);
    fit.curves[0].fit[1][1] = 3;
    expect(unpack(fit, second).curves![0]).not.toBe(second.curves![0]);
    expect(unpack({}, second)).toEqual({});
  });
  it("are found by layer", () => {
    expect([...byLayer(CURVES).keys()]).toEqual(["a", "b"]);
    expect(byLayer(CURVES)).toBe(byLayer(CURVES));
  });
});
