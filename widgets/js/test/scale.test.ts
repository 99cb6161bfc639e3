import { describe, expect, it } from "vitest";
import { layerStyle, ramp } from "../src/colour";
import { band, line, linear, roundStep, rounded, steps } from "../src/scale";

describe("a scale", () => {
  it("goes there and back", () => {
    const scale = linear([10, 30], [100, 0]);
    expect([scale(10), scale(20), scale(30), scale(40)]).toEqual([100, 50, 0, -50]);
    expect(scale.invert(75)).toBe(15);
    const clamped = linear([10, 30], [100, 0], true);
    expect([clamped(40), clamped(0)]).toEqual([0, 100]);
  });

  it("has round ticks within its domain, all written with the same digits", () => {
    expect(linear([0, 0.9], [0, 1]).ticks(10)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    expect(linear([38.2, 97.4], [0, 1]).ticks(6)).toEqual([40, 50, 60, 70, 80, 90]);
    expect(linear([-0.03, 0.07], [0, 1]).ticks(5)).toEqual([-0.02, 0, 0.02, 0.04, 0.06]);
    expect(linear([0, 1_300_000], [0, 1]).ticks(4)).toEqual([0, 500_000, 1_000_000]);
    expect([-0.02, 0.1].map(linear([-0.03, 0.07], [0, 1]).format(5))).toEqual(["\u22120.02", "0.10"]);
    expect(linear([0, 90], [0, 1]).format(6)(20)).toBe("20");
  });

  it("steps by 1, 2 or 5 times a power of ten, and ends on such numbers where it is rounded", () => {
    expect([0.1, 1, 7, 33, 480].map((span) => roundStep(span, 5))).toEqual([0.02, 0.2, 1, 5, 100]);
    expect(rounded([38.2, 97.4], 6)).toEqual([30, 100]);
    expect(rounded([0.011, 0.049], 5)).toEqual([0.01, 0.05]);
    expect(rounded([0, 10], 5)).toEqual([0, 10]);
  });
});

describe("lines", () => {
  it("go through their points, or in steps, or round an area", () => {
    expect(line([[0, 1], [2, 3.00004]])).toBe("M0,1L2,3");
    expect(steps([[0, 9], [4, 5]])).toBe("M0,9L4,9L4,5");
    expect(band([[0, 1], [2, 1]], [[0, 3], [2, 3]])).toBe("M0,1L2,1L2,3L0,3Z");
    expect(line([]) + steps([]) + band([], [])).toBe("");
  });
});

describe("the layers' colours", () => {
  const light = (colour: string) => {
    const linear = (v: number) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.match(/\d+/g)!.map((v) => linear(Number(v) / 255));
    return { all: 0.2126 * r + 0.7152 * g + 0.0722 * b, r, g, b };
  };
  // What is left of a colour without one kind of cone (Viénot, Brettel and Mollon 1999): its lightness is ordered all the same.
  const without = { red: [0.11238, 0.88762, 0], green: [0.29275, 0.70725, 0], blue: [0.2126, 0.7152, 0.0722] };

  it("become lighter from the first layer to the last, for every reader", () => {
    const places = Array.from({ length: 60 }, (_, n) => light(ramp(n / 59)));
    for (const [r, g, b] of Object.values(without)) {
      const seen = places.map((c) => r * c.r + g * c.g + b * c.b);
      for (let n = 1; n < seen.length; n += 1) expect(seen[n]).toBeGreaterThan(seen[n - 1]);
    }
  });

  it("stand out from the page in both themes", () => {
    const contrast = (a: number, b: number) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    for (let n = 0; n < 50; n += 1) {
      const [, onLight, onDark] = layerStyle(n, 50).match(/--slim-on-light:(.*);--slim-on-dark:(.*)/)!;
      expect(contrast(light(onLight).all, 1)).toBeGreaterThan(3);
      expect(contrast(light(onDark).all, light("rgb(33, 33, 33)").all)).toBeGreaterThan(3);
    }
  });
});
