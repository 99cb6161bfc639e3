// Predictions in the browser. They must equal slimlab.preview exactly, rounding included: a shared fixture holds the two together.
import type { Cost, Curve, CurvesView } from "./types";
import { byLayer } from "./unpack";

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest > 0.5) return floor + 1;
  if (rest < 0.5) return floor;
  return floor % 2 === 0 ? floor : floor + 1;
}

export function keptWidth(width: number, ratio: number): number {
  return Math.max(1, width - roundHalfEven(width * ratio));
}

export interface Totals {
  macs: number;
  params: number;
  bytes: number;
}

export function evaluate(cost: Cost, kept: number[]): Totals {
  const total = { macs: 0, params: 0, bytes: 0 };
  for (const term of cost.terms) {
    let product = 1;
    for (const [constant, parts] of term.factors) {
      let factor = constant;
      for (const [group, multiplicity] of parts) factor += multiplicity * kept[group];
      product *= factor;
    }
    total.macs += term.macs * product;
    total.params += term.params * product;
    total.bytes += term.bytes * product;
  }
  return total;
}

export function keptWidths(cost: Cost, ratios: Record<string, number>): number[] {
  return cost.groups.map((name, i) => keptWidth(cost.widths[i], ratios[name] ?? 0));
}

/** Piecewise linear through the knots, flat beyond the last one. */
export function interpolate(knots: [number, number][], x: number): number {
  let [x0, y0] = [0, 0];
  for (const [x1, y1] of knots) {
    if (x <= x1) return x1 === x0 ? y1 : ((y1 - y0) / (x1 - x0)) * (x - x0) + y0;
    [x0, y0] = [x1, y1];
  }
  return y0;
}

export function predictedDrop(curve: Curve | undefined, ratio: number): number | null {
  if (ratio === 0) return 0;
  if (!curve || curve.fit.length === 0) return null;
  return interpolate(curve.fit, ratio);
}

/** Layers hurt independently: an accuracy keeps the product of what each leaves of it; other drops add up. */
export function together(drops: number[], curves: CurvesView): number {
  const baseline = curves.baseline ?? 0;
  if (curves.unit !== "%" || !(baseline > 0)) return drops.reduce((sum, drop) => sum + drop, 0);
  return baseline * (1 - drops.reduce((left, drop) => left * Math.max(0, 1 - drop / baseline), 1));
}

export interface Prediction extends Totals {
  drop: number | null;
  kept: number[];
  /** Picked layers that the scan has not measured: the drop leaves them out. */
  unmeasured: number;
}

export function predict(cost: Cost, ratios: Record<string, number>, curves: CurvesView): Prediction {
  const kept = keptWidths(cost, ratios);
  const known = byLayer(curves);
  const drops: number[] = [];
  let unmeasured = 0;
  cost.groups.forEach((name, i) => {
    if (kept[i] === cost.widths[i]) return; // too small a ratio to remove a channel costs nothing
    const one = predictedDrop(known.get(name), ratios[name] ?? 0);
    if (one === null) unmeasured += 1;
    else drops.push(one);
  });
  const drop = known.size === 0 ? null : together(drops, curves);
  return { ...evaluate(cost, kept), drop, kept, unmeasured };
}

/** The metric of a curve at a ratio, along the drawn line. */
export function valueAt(curve: Curve, baseline: number, ratio: number): number {
  let [x0, y0] = [0, baseline];
  for (const p of curve.points) {
    if (ratio <= p.ratio) return y0 + ((p.value - y0) * (ratio - x0)) / (p.ratio - x0);
    [x0, y0] = [p.ratio, p.value];
  }
  return y0;
}
