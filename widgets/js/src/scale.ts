// A linear scale with round ticks, and the lines of plots: all that the plots need, a tenth of what a library of scales weighs.

export interface Scale {
  (x: number): number;
  invert(y: number): number;
  readonly domain: [number, number];
  readonly range: [number, number];
  /** About so many round numbers within the domain. */
  ticks(count: number): number[];
  /** How such numbers are written: all with the same digits. */
  format(count: number): (x: number) => string;
}

/** The round step (1, 2 or 5 times a power of ten) that cuts a span into about so many parts. */
export function roundStep(span: number, count: number): number {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const over = rough / power;
  return power * (over >= Math.sqrt(50) ? 10 : over >= Math.sqrt(10) ? 5 : over >= Math.SQRT2 ? 2 : 1);
}

const digits = (step: number): number => Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
const exact = (x: number, step: number): number => Number(x.toFixed(Math.min(20, digits(step) + 1)));

/** A domain that ends on round numbers. */
export function rounded([low, high]: [number, number], count: number): [number, number] {
  const step = roundStep(high - low, count);
  return [exact(Math.floor(low / step + 1e-9) * step, step), exact(Math.ceil(high / step - 1e-9) * step, step)];
}

/** `clamped`: what lies outside of the domain is drawn at its end. */
export function linear(domain: [number, number], range: [number, number], clamped = false): Scale {
  const [d0, d1] = domain;
  const [r0, r1] = range;
  const clamp = (t: number) => (clamped ? Math.min(1, Math.max(0, t)) : t);
  const scale = (x: number) => r0 + clamp((x - d0) / (d1 - d0)) * (r1 - r0);
  return Object.assign(scale, {
    domain, range,
    invert: (y: number) => d0 + clamp((y - r0) / (r1 - r0)) * (d1 - d0),
    ticks: (count: number) => {
      const step = roundStep(d1 - d0, count);
      const first = Math.ceil(d0 / step - 1e-9);
      const last = Math.floor(d1 / step + 1e-9);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => exact((first + i) * step, step));
    },
    format: (count: number) => {
      const places = digits(roundStep(d1 - d0, count));
      return (x: number) => x.toFixed(places).replace("-", "\u2212");
    },
  });
}

const at = ([x, y]: [number, number]): string => `${Math.round(x * 1000) / 1000},${Math.round(y * 1000) / 1000}`;

/** A path through points. */
export const line = (points: [number, number][]): string => (points.length ? `M${points.map(at).join("L")}` : "");

/** A path that goes on level to the next point, and then up or down to it. */
export const steps = (points: [number, number][]): string =>
  points.length ? `M${at(points[0])}${points.slice(1).map(([x, y], i) => `L${at([x, points[i][1]])}L${at([x, y])}`).join("")}` : "";

/** The area between an upper and a lower line. */
export const band = (upper: [number, number][], lower: [number, number][]): string =>
  (upper.length ? `${line(upper)}L${[...lower].reverse().map(at).join("L")}Z` : "");
