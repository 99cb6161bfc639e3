// The curves as Python packs them, as objects. A curve that did not change stays the same object, so that nothing of it is drawn again.
import type { Curve, CurvesView } from "./types";

export interface PackedCurve { layer: string; points: [number, number, number, number][]; fit: [number, number][] }
export type PackedCurves = Omit<CurvesView, "curves"> & { curves?: PackedCurve[] };

function same(old: Curve | undefined, { points, fit }: PackedCurve): old is Curve {
  if (!old || old.points.length !== points.length || old.fit.length !== fit.length) return false;
  return points.every(([ratio, value, low, high], i) => {
    const p = old.points[i];
    return p.ratio === ratio && p.value === value && p.low === low && p.high === high;
  }) && fit.every(([ratio, drop], i) => old.fit[i][0] === ratio && old.fit[i][1] === drop);
}

export function unpack(packed: PackedCurves, before: CurvesView = {}): CurvesView {
  if (!packed.curves) return packed as CurvesView;
  const known = new Map((before.curves ?? []).map((curve) => [curve.layer, curve]));
  const curves = packed.curves.map((curve): Curve => {
    const old = known.get(curve.layer);
    if (same(old, curve)) return old;
    return { ...curve, points: curve.points.map(([ratio, value, low, high]) => ({ ratio, value, low, high })) };
  });
  return { ...packed, curves };
}

const lists = new WeakMap<CurvesView, Map<string, Curve>>();

/** The curves by layer, made once for each value. */
export function byLayer(view: CurvesView): Map<string, Curve> {
  let found = lists.get(view);
  if (!found) lists.set(view, (found = new Map((view.curves ?? []).map((curve) => [curve.layer, curve]))));
  return found;
}
