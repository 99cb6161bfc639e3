// The entry of the one bundle: anywidget calls render for every view of every SlimLab widget.
import { Context, keepTyped } from "./context";
import { h } from "./dom";
import { handOf } from "./hand";
import type { JobView, Model } from "./types";
import { KINDS } from "./workbench";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const ctx = new Context(model);
  const kind = String(model.get("kind"));
  const make = KINDS[kind];
  const root = h("div", { class: `slim slim-kind-${kind}`, "data-kind": kind });
  el.append(root);
  root.append(make ? make(ctx) : `This bundle does not know the widget kind "${kind}".`);
  if (kind !== "workbench") root.append(problem(ctx));
  keepTyped(ctx, root);
  keepFocus(ctx, root);
  // While a control is in use the kernel must not have the view rebuilt.
  const hand = handOf(String(model.get("key") ?? ""));
  hand.attach(ctx, () => undefined);
  for (const event of ["pointerdown", "keydown", "input", "wheel"]) root.addEventListener(event, () => hand.touch(), { passive: true, capture: true });
  root.addEventListener("pointerdown", () => hand.lift(), { passive: true, capture: true });
  root.addEventListener("pointermove", (e) => { if (e.buttons) hand.touch(); }, { passive: true, capture: true });
  return () => {
    ctx.stop();
    root.remove();
  };
}

/** Where a widget without a job bar shows what went wrong. */
function problem(ctx: Context): HTMLElement {
  const line = h("div", { class: "slim-status slim-error", role: "status", "aria-live": "polite", hidden: true });
  ctx.watch(["job"], () => {
    const { status, message = "" } = ctx.get<JobView>("job");
    line.hidden = status !== "error";
    line.textContent = message;
  });
  return line;
}

/** A rebuilt view (see Memory) gives the focus back to the control that had it. */
function keepFocus(ctx: Context, root: HTMLElement): void {
  const key = ctx.memory.focus;
  if (key) {
    const again = [...root.querySelectorAll<HTMLElement>("[data-key]")].find((e) => e.dataset.key === key);
    setTimeout(() => { if (document.activeElement === document.body) again?.focus({ preventScroll: true }); });
  }
  root.addEventListener("focusin", (e) => { ctx.memory.focus = (e.target as HTMLElement).dataset?.key ?? null; });
  root.addEventListener("focusout", (e) => { if (root.isConnected && (e as FocusEvent).relatedTarget) ctx.memory.focus = null; });
}

export default { render };
