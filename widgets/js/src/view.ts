// JupyterLab draws a view anew when the saved picture of its output changes: it empties the output and asks for another
// view, and it never says that the old one is gone. Elements that were thrown out so go on in the new view: nothing flickers,
// what is brushed, typed or scrolled to stays, and no forgotten view goes on listening.
import { Context } from "./context";
import type { Model } from "./types";

export class View {
  private static readonly all = new Map<string, Set<View>>();
  readonly ctx: Context;
  private readonly views: Set<View>;
  private readonly whose: unknown;
  private home: HTMLElement | null = null;
  private focused: HTMLElement | null = null;
  private scrolled = new Map<Element, [number, number]>();

  constructor(model: Model, readonly root: HTMLElement) {
    const key = String(model.get("key") ?? "");
    this.ctx = new Context(model);
    // The proxies of two views of one model differ, its layout is the same; a model that was restored has another one.
    this.whose = model.get("layout");
    this.views = View.all.get(key) ?? new Set();
    View.all.set(key, this.views.add(this));
    this.ctx.onStop(() => this.views.delete(this));
    root.addEventListener("scroll", ({ target }) => {
      if (target instanceof Element && root.isConnected) this.scrolled.set(target, [target.scrollLeft, target.scrollTop]);
    }, { passive: true, capture: true });
    root.addEventListener("focusin", ({ target }) => { this.focused = target as HTMLElement; });
    root.addEventListener("focusout", ({ relatedTarget }) => { if (root.isConnected && relatedTarget) this.focused = null; });
    this.ctx.onStop(keepRoom(root));
  }

  /** A view of this model that was thrown out of its output, not one whose whole cell is off the page for a while. */
  static thrownOut(model: Model): View | undefined {
    const whose = model.get("layout");
    return [...(View.all.get(String(model.get("key") ?? "")) ?? [])].find(
      ({ root, whose: known }) => known === whose && !root.isConnected && !root.closest(".jp-OutputArea"));
  }

  /** Go on in an element; the function that is given back ends the view, if it has not moved on since. */
  settle(el: HTMLElement): () => void {
    this.home = el;
    el.append(this.root);
    const { focused } = this;
    // Once JupyterLab has put the element on the page.
    setTimeout(() => {
      for (const [element, [left, top]] of this.scrolled) Object.assign(element, { scrollLeft: left, scrollTop: top });
      if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
    });
    return () => {
      if (this.home !== el) return;
      this.ctx.stop();
      this.root.remove();
    };
  }
}

/** Hold the output's height while JupyterLab has it empty: without, the page below would jump up and down. */
function keepRoom(root: HTMLElement): () => void {
  if (typeof ResizeObserver === "undefined") return () => undefined;
  let output: HTMLElement | null = null;
  const observer = new ResizeObserver(() => {
    if (!root.isConnected) return;
    output = root.closest<HTMLElement>(".jp-OutputArea-output");
    if (output) output.style.minHeight = `${root.offsetHeight}px`;
  });
  observer.observe(root);
  return () => {
    observer.disconnect();
    if (output) output.style.minHeight = "";
  };
}
