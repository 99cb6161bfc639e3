import fixture from "../../../tests/widgets/fixtures/predictions.json";
import { describe, expect, it } from "vitest";
import { evaluate, interpolate, keptWidth, predict, roundHalfEven, valueAt } from "../src/cost";
import { CURVES, GRAPH } from "./model";

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
  const shared: any = fixture;
  it.each([...shared.cases.keys()] as number[])("case %i is predicted exactly", (i) => {
    const c = shared.cases[i];
    const now = predict(shared.cost, c.ratios, shared.curves);
    expect({ macs: now.macs, params: now.params, bytes: now.bytes }).toEqual({
      macs: c.preview.macs, params: c.preview.params, bytes: c.preview.bytes,
    });
    expect(now.drop).toBeCloseTo(c.preview.drop, 9);
    expect(Object.fromEntries(shared.cost.groups.map((g: string, i: number) => [g, now.kept[i]]))).toEqual(
      Object.fromEntries(Object.entries<[number, number]>(c.preview.widths).map(([g, pair]) => [g, pair[1]])),
    );
  });
});
