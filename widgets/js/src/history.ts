// Undo, redo, and picks with a name.
import { type Context, button, field } from "./context";
import { KEYS, h } from "./dom";
import { count, fixed } from "./format";
import type { Hand } from "./hand";
import type { GraphView, PicksView } from "./types";

export class History {
  readonly el: HTMLElement;
  private back: HTMLButtonElement;
  private forth: HTMLButtonElement;
  private name = h("input", { type: "text", size: 14, spellcheck: "false", placeholder: "name", title: "A name for the ratios as they are now; empty: what they are called already", "data-key": "snapshot" });
  private list = h("span", { class: "slim-snapshots", role: "group", "aria-label": "Snapshots" });
  private drawn = "";

  constructor(private ctx: Context, private hand: Hand) {
    this.back = button("\u21b6 Undo", "undo", "", () => this.send("undo"));
    this.forth = button("\u21b7 Redo", "redo", "", () => this.send("redo"));
    const keep = button("Keep", "keep", "Give the ratios as they are now a name, to come back to them", () => this.keep());
    this.name.addEventListener("keydown", (e) => { if (e.key === "Enter") this.keep(); });
    this.el = h("div", { class: "slim-controls slim-history", role: "group", "aria-label": "Undo and snapshots" },
      this.back, this.forth, h("span", { class: "slim-gap" }), field("Snapshot", this.name), keep, this.list);
    ctx.watch(["picks", "graph"], () => this.draw());
  }

  /** Ctrl+Z and Ctrl+Shift+Z (or Ctrl+Y) wherever the focus is here, but in a text. */
  key(e: KeyboardEvent): void {
    const into = e.target as HTMLInputElement;
    const typing = into.tagName === "INPUT" && ["text", "number"].includes(into.type);
    const letter = e.key.toLowerCase();
    if (typing || !(e.ctrlKey || e.metaKey) || (letter !== "z" && letter !== "y")) return;
    e.preventDefault();
    e.stopPropagation();
    this.send(letter === "y" || e.shiftKey ? "redo" : "undo");
  }

  private send(event: string, facts: Record<string, unknown> = {}): void {
    this.hand.lift(); // a move that is still on its way comes first
    this.ctx.send(event, facts);
  }

  private keep(): void {
    this.send("keep", { name: this.name.value });
    this.name.value = "";
    this.name.dispatchEvent(new Event("input", { bubbles: true }));
  }

  private draw(): void {
    const { undo = null, redo = null, snapshots = [] } = this.ctx.get<PicksView>("picks");
    this.step(this.back, undo, "Ctrl+Z");
    this.step(this.forth, redo, "Ctrl+Shift+Z");
    const all = this.ctx.get<GraphView>("graph").totals?.macs ?? 0;
    const now = JSON.stringify([snapshots, all]);
    if (now === this.drawn) return;
    this.drawn = now;
    this.list.replaceChildren(...snapshots.map(({ name, macs, drop }) => {
      const gives = `${count(macs)} MACs${all ? ` (${fixed(100 * (macs / all - 1), 0)} %)` : ""}${drop === null ? "" : `, predicted drop ${fixed(drop, 1)} points`}`;
      return h("span", { class: "slim-chip", "data-snapshot": name },
        h("button", { type: "button", title: `Back to these ratios: ${gives}`, "data-key": `take:${name}`, ...KEYS, click: () => this.send("take", { name }) }, name),
        h("button", { type: "button", class: "slim-forget", title: `Forget ${name}`, "aria-label": `Forget ${name}`, "data-key": `forget:${name}`, ...KEYS, click: () => this.send("forget", { name }) }, "\u00d7"));
    }));
  }

  private step(one: HTMLButtonElement, to: string | null, keys: string): void {
    one.disabled = to === null;
    one.title = to === null ? `Nothing to ${one.dataset.action}` : `To \u201c${to}\u201d (${keys})`;
  }
}
