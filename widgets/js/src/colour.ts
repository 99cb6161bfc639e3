// One colour per layer, from the first to the last: viridis, which colour-blind readers can order, cut to the part that
// stands out from the background by 3 to 1 (WCAG). The theme decides which of the two is used, in the style sheet, so that a switch is instant.

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const channels = (colour: string): number[] => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** The colour at a place from 0 to 1, mixed from its neighbours. */
export function ramp(t: number): string {
  const place = Math.min(1, Math.max(0, t)) * (VIRIDIS.length - 1);
  const n = Math.min(VIRIDIS.length - 2, Math.floor(place));
  const [a, b] = [channels(VIRIDIS[n]), channels(VIRIDIS[n + 1])];
  return `rgb(${a.map((from, i) => Math.round(from + (b[i] - from) * (place - n))).join(", ")})`;
}

export function layerStyle(index: number, total: number): string {
  const t = total > 1 ? index / (total - 1) : 0.5;
  return `--slim-on-light:${ramp(0.59 * t)};--slim-on-dark:${ramp(0.38 + 0.62 * t)}`;
}
