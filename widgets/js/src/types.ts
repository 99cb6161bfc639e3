// The values that Python publishes: every trait of the widget, as JSON. Python writes them, the browser only reads them.

export interface Term {
  macs: number;
  params: number;
  bytes: number;
  /** Each factor is constant + sum of multiplicity * kept channels of a group. */
  factors: [number, [number, number][]][];
}

export interface Cost {
  groups: string[];
  widths: number[];
  terms: Term[];
}

export interface LayerRow {
  layer: string;
  type: string;
  output: string;
  params: number;
  macs: number;
  bytes: number;
  /** null: makes no channels of its own (BatchNorm). */
  prunable: boolean | null;
  group: string;
  reason: string;
}

export interface GraphView {
  cost?: Cost;
  layers?: LayerRow[];
  /** Name and kind of each node ("input", "layer", "join", "output"), and numbers of the nodes that edges join. */
  wiring?: { nodes: [string, string][]; edges: [number, number][] };
  totals?: { macs: number; params: number; bytes: number; macs_share: number; params_share: number };
}

/** One measured cell: ratio, metric, ends of its interval. Python sends the four as a list. */
export interface Point {
  ratio: number;
  value: number;
  low: number;
  high: number;
}

export interface Curve {
  layer: string;
  points: Point[];
  /** Knots of the predicted drop, never falling: [ratio, points]. */
  fit: [number, number][];
}

export interface CurvesView {
  metric?: string;
  unit?: string;
  baseline?: number | null;
  criterion?: string;
  images?: number;
  complete?: boolean;
  measured?: number;
  /** Images that the least known cell was measured on. */
  seen?: number;
  planned?: number;
  ratios?: number[];
  /** Bits of a layer's weights at each ratio, where a scan was one of bits. */
  bits?: number[];
  layers?: string[];
  curves?: Curve[];
}

export interface PreviewView {
  macs: number;
  params: number;
  bytes: number;
  drop: number | null;
  /** Milliseconds, and the share of them that is gone; null before the layers were timed. */
  latency?: number | null;
  latency_removed?: number | null;
  widths: Record<string, [number, number]>;
}

export interface BudgetView {
  /** Largest share that the scanned ratios can remove; null for latency before it was timed. */
  reach?: { macs: number; bytes: number; latency: number | null };
  times?: { runtime: string; batch: number; threads: number; whole: number; error: number | null; warning: string } | null;
}

/** Milliseconds of a layer by its two widths, which are a constant and multiples of groups' channels. */
export interface TimeLayer {
  inputs: [number, [number, number][]];
  outputs: [number, [number, number][]];
  read: number[];
  made: number[];
  ms: number[][];
}

/** The measured times; empty before. */
export interface TimesView {
  layers?: TimeLayer[];
  /** Groups with their channels before pruning, in the order of the numbers in `layers`. */
  groups?: [string, number][];
  base?: number;
  factor?: number;
}

export interface PickedView {
  ratios?: Record<string, number>;
  name?: string;
  /** Which view asked for these ratios, and its how manieth request it was. */
  view?: string;
  seq?: number;
  /** How many times the ratios were set, by anyone. */
  revision?: number;
  preview?: PreviewView | null;
}

export interface PicksView {
  /** What undo and redo go to; null where there is nothing. */
  undo?: string | null;
  redo?: string | null;
  snapshots?: { name: string; macs: number; drop: number | null }[];
}

/** What an earlier kernel left on the disk: a scan, or ratios and models, or all; empty without. */
export interface OfferView {
  when?: number;
  models?: string[];
  picked?: number;
  snapshots?: number;
  exports?: number;
  /** Who has it open; empty where nobody has. */
  owner?: string;
  measured?: number;
  planned?: number;
  complete?: boolean;
  images?: number;
  criterion?: string;
}

/** A layer's weights: how many, their root mean square, the largest magnitude, and the root mean square of the channels' largest. */
export interface QuantLayer {
  layer: string;
  weights: number;
  rms: number;
  most: number;
  channels: number;
}

export interface QuantView {
  name?: string;
  layers?: QuantLayer[];
}

/** A layer that gives maps, with channels, height and width. */
export interface PairRow {
  layer: string;
  shape: number[];
}

export interface PairsView {
  /** Whether there is a model that can learn. */
  possible?: boolean;
  name?: string;
  student?: PairRow[];
  teacher?: PairRow[];
  pairs?: [string, string][];
}

export interface ScriptView {
  kind?: "" | "code" | "recipe";
  name?: string;
  text?: string;
}

export interface JobView {
  kind?: string;
  status?: "idle" | "running" | "stopping" | "stopped" | "done" | "error";
  label?: string;
  done?: number;
  total?: number;
  elapsed?: number;
  left?: number | null;
  message?: string;
  details?: string;
  /** What went wrong beside the running job. */
  warning?: string;
}

export interface SettingsView {
  images?: number | null;
  images_max?: number;
  ratios?: string;
  criterion?: string;
  criteria?: string[];
  epochs?: number;
  learning_rate?: number;
  teacher?: boolean;
  folder?: string;
  uniform?: number;
  drop?: number;
  remove_macs?: number;
  remove_bytes?: number;
  remove_latency?: number;
  weight?: string;
  weight_bits?: number;
  activation_bits?: number;
  equalize?: boolean;
  quant_epochs?: number;
  pair_loss?: string;
  pair_weight?: number;
  /** Bits of single layers; those left out have the common ones. */
  layer_bits?: Record<string, number>;
}

export interface CandidateView {
  name: string;
  macs: number;
  params: number;
  bytes: number;
  drop: number | null;
  epochs: number;
  score: number | null;
  ratios?: Record<string, number>;
  quantized?: boolean;
}

export interface CandidatesView {
  rows?: CandidateView[];
  chosen?: string;
  unit?: string;
  metric?: string;
}

export interface RunChart {
  name?: string;
  metric?: string;
  unit?: string;
  loss?: [number, number][];
  score?: [number, number][];
  rate?: [number, number][];
  /** Passes over the training data so far. */
  epoch?: number;
  steps?: number;
}

export interface TrialRow {
  name: string;
  score: number;
  drop: number | null;
  macs: number;
  params: number;
  bytes: number;
  latency: number | null;
  latency_low: number | null;
  latency_high: number | null;
  pareto: boolean;
  /** Drops in points: predicted before the cut, and measured right after it; null where not known. */
  predicted?: number | null;
  cut_drop?: number | null;
}

export interface ComparisonView {
  metric?: string;
  unit?: string;
  /** Images that the latency is the time of. */
  batch?: number;
  rows?: TrialRow[];
}

/** A file for a runtime, compared with its model; differences are shares of an image's largest output. */
export interface ExportRow {
  name: string;
  format: string;
  bytes: number;
  share: number;
  images: number;
  largest: number;
  unit: string;
  model: number;
  file: number;
  times: { runtime: string; ms: number }[];
}

export interface ExportsView {
  formats?: { name: string; quantized: boolean }[];
  rows?: ExportRow[];
}

export interface TitleView {
  model?: string;
  task?: string;
}

export interface Model {
  get(key: string): any;
  on(event: string, callback: (...args: any[]) => void): void;
  off(event: string, callback: (...args: any[]) => void): void;
  send(content: unknown): void;
}
