// Numbers for people: a thin space is never used, units are always there, minus is a minus sign.
export function fixed(x: number, digits: number): string {
  const text = x.toFixed(digits);
  const clean = Number(text) === 0 ? (0).toFixed(digits) : text;
  return clean.replace("-", "\u2212");
}

function scaled(x: number, units: string[]): string {
  let i = 0;
  let value = x;
  while (Math.abs(value) >= 1000 && i < units.length - 1) {
    value /= 1000;
    i += 1;
  }
  if (i === 0) return `${Math.round(value)}${units[0] ? ` ${units[0]}` : ""}`;
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[i]}`;
}

export const count = (x: number): string => scaled(x, ["", "k", "M", "G", "T"]);
export const bytes = (x: number): string => scaled(x, ["B", "kB", "MB", "GB"]);
export const share = (x: number): string => `${fixed(100 * x, 0)} %`;
export const removed = (before: number, after: number): string =>
  before > 0 ? `${fixed(100 * (after / before - 1), 0)} %` : "";
export const ms = (x: number): string => `${x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2)} ms`;
export const whole = (x: number): string => Math.round(x).toLocaleString("en-US");

export function score(x: number, unit: string): string {
  return unit ? `${fixed(x, unit === "%" ? 1 : 3)} ${unit}` : fixed(x, 3);
}

export function seconds(x: number): string {
  const s = Math.max(0, Math.round(x));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min ${String(s % 60).padStart(2, "0")} s`;
  return `${Math.floor(m / 60)} h ${String(m % 60).padStart(2, "0")} min`;
}

const METRICS: Record<string, string> = { top1: "accuracy", top5: "top-5 accuracy", loss: "loss" };
export const metricName = (metric: string | undefined): string => METRICS[metric ?? "top1"] ?? metric ?? "metric";
export const metricLabel = (metric?: string, unit?: string): string =>
  unit ? `${metricName(metric)} (${unit})` : metricName(metric);
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
