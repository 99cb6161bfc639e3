// What every panel gets: the model to read, a way to tell the kernel, and what this widget remembers across redraws of its view.
import { KEYS, h } from "./dom";
import { type Post, postOf } from "./post";
import type { CurvesView, JobView, Model } from "./types";
import { type PackedCurves, unpack } from "./unpack";

export interface Memory {
  tab: string;
  selected: string | null;
  axis: string;
  /** Models that are brushed in the comparison. */
  brushed: string[];
  /** The model that the quantization tab shows. */
  quantized: string;
  /** Whether the pairs for distillation are open. */
  pairs: boolean;
  /** Whether the code or the recipe is open. */
  script: boolean;
  /** The last curves, as they came and as objects. */
  curves?: { packed: PackedCurves; view: CurvesView };
  /** By data-key: what a person typed, and what the kernel had said until then. */
  typed: Record<string, { value: string; told?: string }>;
}

const NOTHING = {};
const memories = new Map<string, Memory>();

/** Shown again by another cell, a widget is on the same tab with the same layer selected. */
export function memoryOf(key: string): Memory {
  let memory = memories.get(key);
  if (!memory) {
    memory = { tab: "layers", selected: null, axis: "macs", brushed: [], quantized: "baseline", pairs: false, script: false, typed: {} };
    memories.set(key, memory);
  }
  return memory;
}

export class Context {
  readonly memory: Memory;
  private cleanups: (() => void)[] = [];
  private selections: (() => void)[] = [];
  private unheard: (() => void)[] = [];
  private post: Post;

  constructor(readonly model: Model) {
    const key = String(model.get("key") ?? "");
    this.memory = memoryOf(key);
    this.post = postOf(key);
    this.onStop(this.post.attach(model, () => { for (const changed of this.unheard) changed(); }));
  }

  get<T extends object>(trait: string): T {
    const value = this.model.get(`${trait}_view`) ?? NOTHING;
    return (trait === "curves" ? this.curves(value) : value) as T;
  }

  private curves(packed: PackedCurves): CurvesView {
    const { memory } = this;
    if (memory.curves?.packed !== packed) memory.curves = { packed, view: unpack(packed, memory.curves?.view) };
    return memory.curves.view;
  }

  send(event: string, facts: Record<string, unknown> = {}): void {
    this.post.send(event, facts);
  }

  /** Call now and whenever the kernel stops answering, or answers again. */
  onUnheard(changed: (unheard: boolean) => void): void {
    this.unheard.push(() => changed(this.post.unheard));
    changed(this.post.unheard);
  }

  /** Call now and whenever one of the traits changes. */
  watch(traits: string[], callback: () => void): void {
    for (const trait of traits) {
      this.model.on(`change:${trait}_view`, callback);
      this.cleanups.push(() => this.model.off(`change:${trait}_view`, callback));
    }
    callback();
  }

  /** Select a layer wherever it is shown: on the map, in the curves, in the strip of layers. */
  select(layer: string): void {
    if (this.memory.selected === layer) return;
    this.memory.selected = layer;
    for (const changed of this.selections) changed();
  }

  onSelect(changed: () => void): void {
    this.selections.push(changed);
  }

  onStop(cleanup: () => void): void {
    this.cleanups.push(cleanup);
  }

  stop(): void {
    for (const cleanup of this.cleanups.splice(0)) cleanup();
  }

  get busy(): boolean {
    const { status } = this.get<JobView>("job");
    return status === "running" || status === "stopping";
  }
}

export interface Panel {
  el: HTMLElement;
}

export function button(name: string, action: string, title: string, click: () => void, primary = false): HTMLButtonElement {
  return h("button", {
    type: "button", class: `slim-button${primary ? " slim-primary" : ""}`, title, "data-action": action, "data-key": `button:${action}`, ...KEYS, click,
  }, name);
}

/** A labelled input; the label is the accessible name. */
export function field(name: string, input: HTMLElement, after = ""): HTMLLabelElement {
  // Said outright: the text of a label around a list would take in all its options.
  input.setAttribute("aria-label", name);
  return h("label", { class: "slim-field" }, h("span", {}, name), input, after ? h("span", { class: "slim-unit" }, after) : null);
}

const told = new WeakMap<HTMLElement, string>();

/** What a person typed and did not send yet is there in another view too, unless the kernel changed the value since. */
export function keepTyped(ctx: Context, root: HTMLElement): void {
  const holdsText = (e: EventTarget | null): e is HTMLInputElement =>
    e instanceof HTMLInputElement && ["text", "number"].includes(e.type) && !!e.dataset.key;
  for (const input of root.querySelectorAll("input")) {
    const typed = holdsText(input) ? ctx.memory.typed[input.dataset.key!] : undefined;
    if (!typed || typed.told !== told.get(input)) continue;
    input.value = typed.value;
    input.dispatchEvent(new Event("input")); // checked like any other typing
  }
  root.addEventListener("input", ({ target }) => {
    if (holdsText(target)) ctx.memory.typed[target.dataset.key!] = { value: target.value, told: told.get(target) };
  });
}

/**
 * Write a value from the kernel into an input: only where the kernel changed it, and not while a person types there.
 * All settings come together, so an old one may arrive again just after a person wrote a new one.
 */
export function setInput(input: HTMLInputElement | HTMLSelectElement, value: string): void {
  if (told.get(input) === value) return;
  told.set(input, value);
  if (document.activeElement === input) return;
  if (input.type === "checkbox") (input as HTMLInputElement).checked = value === "true";
  else input.value = value;
}
