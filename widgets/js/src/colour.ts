// One colour per layer, from the first to the last: viridis, which colour-blind readers can order, cut to the part that
// stands out from the background. The theme decides which of the two is used, in the style sheet, so that a switch is instant.
import { scaleLinear } from "d3-scale";

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const ramp = scaleLinear<string>()
  .domain(VIRIDIS.map((_, i) => i / (VIRIDIS.length - 1)))
  .range(VIRIDIS);

export function layerStyle(index: number, total: number): string {
  const t = total > 1 ? index / (total - 1) : 0.5;
  return `--slim-on-light:${ramp(0.02 + 0.76 * t)};--slim-on-dark:${ramp(0.3 + 0.68 * t)}`;
}
