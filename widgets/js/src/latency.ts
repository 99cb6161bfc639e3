// Predicted milliseconds in the browser, from the table of times that the kernel measured: the same bilinear reading as there.
import type { TimeLayer, TimesView } from "./types";

/** The knot before a place, and how far it is on the way to the next; places beyond the ends are at the ends. */
function place(knots: number[], where: number): [number, number] {
  const at = Math.min(Math.max(where, knots[0]), knots[knots.length - 1]);
  let n = 0;
  while (n < knots.length - 2 && knots[n + 1] <= at) n += 1;
  return knots.length < 2 ? [0, 0] : [n, (at - knots[n]) / (knots[n + 1] - knots[n])];
}

/** Milliseconds of one layer at its two widths. */
export function layerTime(layer: TimeLayer, inputs: number, outputs: number): number {
  const [i, s] = place(layer.read, inputs);
  const [j, t] = place(layer.made, outputs);
  const row = (n: number) => layer.ms[n][j] * (1 - t) + (t > 0 ? layer.ms[n][j + 1] * t : 0);
  return row(i) * (1 - s) + (s > 0 ? row(i + 1) * s : 0);
}

/** Milliseconds of the whole network with so many channels of each group kept; null before it was timed. */
export function latency(times: TimesView, groups: string[], kept: number[]): number | null {
  const { layers, base = 0, factor = 1 } = times;
  if (!layers) return null;
  const channels = new Map(groups.map((name, n) => [name, kept[n]]));
  const by = (times.groups ?? []).map(([name, width]) => channels.get(name) ?? width);
  const length = ([constant, parts]: TimeLayer["inputs"]) => parts.reduce((sum, [group, times]) => sum + times * by[group], constant);
  return base + factor * layers.reduce((sum, layer) => sum + layerTime(layer, length(layer.inputs), length(layer.outputs)), 0);
}
