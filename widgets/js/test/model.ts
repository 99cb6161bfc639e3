// A model as anywidget gives one, without a kernel: traits in a map, messages in a list.
import { Context } from "../src/context";
import type { CurvesView, GraphView } from "../src/types";

/** The curves as a kernel sends them; the same object for the same value. */
const sent = new WeakMap<object, object>();
export function packed(value: any): any {
  if (!value.curves) return value;
  const curves = value.curves.map((c: any) => ({ ...c, points: c.points.map((p: any) => [p.ratio, p.value, p.low, p.high]) }));
  if (!sent.has(value)) sent.set(value, { ...value, curves });
  return sent.get(value);
}

type Listener = (...args: any[]) => void;

export class FakeModel {
  sent: any[] = [];
  /** Sender and number of each message that has them. */
  posts: [string, number][] = [];
  /** Whether nobody answers. */
  silent = false;
  private listeners = new Map<string, Set<Listener>>();
  constructor(private traits: Record<string, unknown>) {}
  get(key: string) {
    const value = this.traits[key];
    return key === "curves_view" && value ? packed(value) : value;
  }
  set(key: string, value: unknown) {
    this.traits[key] = value;
    for (const f of this.listeners.get(`change:${key}`) ?? []) f();
  }
  /** A message of the kernel. */
  told(message: unknown) {
    for (const f of this.listeners.get("msg:custom") ?? []) f(message);
  }
  on(event: string, f: Listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event)!.add(f);
  }
  off(event: string, f: Listener) {
    this.listeners.get(event)?.delete(f);
  }
  send({ post, ...content }: any) {
    this.sent.push(content);
    if (!post) return;
    this.posts.push(post);
    if (!this.silent) this.told({ heard: post });
  }
  get watched() {
    return [...this.listeners.values()].reduce((n, s) => n + s.size, 0);
  }
}

let made = 0;
export function context(traits: Record<string, unknown> = {}): { ctx: Context; model: FakeModel } {
  made += 1;
  const model = new FakeModel({ key: `test-${made}`, ...traits });
  return { ctx: new Context(model), model };
}

/** Two layers: conv a (10 channels) feeding conv b (4 channels). */
export const GRAPH: GraphView = {
  cost: {
    groups: ["a", "b"],
    widths: [10, 4],
    terms: [
      { macs: 100, params: 9, bytes: 36, factors: [[0, [[0, 1]]]] },
      { macs: 5, params: 1, bytes: 4, factors: [[0, [[0, 1]]], [0, [[1, 1]]]] },
      { macs: 0, params: 2, bytes: 8, factors: [[3, [[1, 2]]]] },
    ],
  },
  layers: [
    { layer: "a", type: "Conv2D", output: "10 × 8 × 8", params: 90, macs: 1000, bytes: 360, prunable: true, group: "a", reason: "" },
    { layer: "norm", type: "BatchNorm2D", output: "", params: 0, macs: 0, bytes: 0, prunable: null, group: "", reason: "" },
    { layer: "b", type: "Conv2D", output: "4 × 8 × 8", params: 40, macs: 200, bytes: 160, prunable: false, group: "", reason: "it is <b>odd</b>" },
  ],
  totals: { macs: 1200, params: 152, bytes: 608, macs_share: 1, params_share: 0.9 },
};

const point = (ratio: number, value: number) => ({ ratio, value, low: value - 1, high: value + 1 });
export const CURVES: CurvesView = {
  metric: "top1", unit: "%", baseline: 90, criterion: "l1_norm", images: 100, complete: false, measured: 3, planned: 4,
  ratios: [0.25, 0.5], layers: ["a", "b"],
  curves: [
    { layer: "a", points: [point(0.25, 88), point(0.5, 80)], fit: [[0, 0], [0.25, 2], [0.5, 10]] },
    { layer: "b", points: [point(0.25, 70)], fit: [[0, 0], [0.25, 20]] },
  ],
};
