// The ratios under the hand. They live outside of the view: a second view of the same widget shows the same hand. The kernel confirms what is sent; it never pulls a moving point back.
import type { Context } from "./context";
import type { PickedView } from "./types";

// ms between two messages of a drag: the kernel confirms, it does not draw, and for each message JupyterLab draws its busy sign twice.
const SEND_EVERY = 80;
const TOUCH_EVERY = 500; // ms

export class Hand {
  ratios: Record<string, number> = {};
  seq = 0;
  confirmed = 0;
  /** The curve that is held, while a button is down. */
  grabbed: { layer: string; x: number; y: number; moved: boolean } | null = null;
  private readonly name = Math.random().toString(36).slice(2);
  private revision: number | undefined;
  private seen: PickedView | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private touched = 0;
  private sent = -Infinity;
  private layer = "";
  private stroke = 1;
  private watchers = new Set<() => void>();
  private ctx!: Context;

  attach(ctx: Context, changed: () => void): void {
    this.ctx = ctx;
    this.watchers.add(changed);
    ctx.onStop(() => this.watchers.delete(changed));
  }

  set(layer: string, value: number): void {
    if (layer !== this.layer) this.lift();
    this.layer = layer;
    const next = { ...this.ratios };
    if (value > 0) next[layer] = value;
    else delete next[layer];
    this.ratios = next;
    this.seq += 1;
    for (const changed of this.watchers) changed();
    // What is moved once is told at once, what goes on moving now and then.
    const wait = Math.max(0, SEND_EVERY - (Date.now() - this.sent));
    if (this.timer === null) this.timer = setTimeout(() => this.flush(), wait);
  }

  /** What follows is another stroke: undo takes a stroke back as one. Keys on one layer, one after the other, are one. */
  lift(): void {
    this.flush();
    this.stroke += 1;
  }

  /** Tell the kernel of the last move now. */
  flush(): void {
    if (this.timer === null) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.sent = Date.now();
    this.ctx.send("ratios", { ratios: this.ratios, view: this.name, seq: this.seq, stroke: this.stroke });
  }

  /** Tell the kernel now and then that a hand is at work, so that it leaves the view alone. */
  touch(): void {
    const now = Date.now();
    if (now - this.touched < TOUCH_EVERY) return;
    this.touched = now;
    this.ctx.send("touch");
  }

  /** Take what the kernel says, unless the hand is ahead of it. */
  adopt(): void {
    const picked = this.ctx.get<PickedView>("picked");
    // Another view looks again at what is known; a hand may have moved since.
    if (picked === this.seen) return;
    this.seen = picked;
    // The same ratios again, with a newer prediction: the scan goes on.
    if (picked.revision !== undefined && picked.revision === this.revision) return;
    this.revision = picked.revision;
    const mine = picked.view === this.name;
    if (mine) this.confirmed = picked.seq ?? 0;
    // An answer to an older move of this same hand must not pull the point back.
    if (mine && this.confirmed < this.seq) return;
    if (this.timer !== null) return;
    this.ratios = { ...(picked.ratios ?? {}) };
    if (!mine) this.confirmed = this.seq;
  }
}

const hands = new Map<string, Hand>();

export function handOf(key: string): Hand {
  let hand = hands.get(key);
  if (!hand) hands.set(key, (hand = new Hand()));
  return hand;
}
