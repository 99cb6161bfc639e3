// The entry of the one bundle: anywidget calls render for every view of every SlimLab widget.
import { type Context, keepTyped } from "./context";
import { h } from "./dom";
import { handOf } from "./hand";
import type { JobView, Model } from "./types";
import { View } from "./view";
import { KINDS } from "./workbench";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  return (View.thrownOut(model) ?? draw(model)).settle(el);
}

function draw(model: Model): View {
  const kind = String(model.get("kind"));
  const make = KINDS[kind];
  const root = h("div", { class: `slim slim-kind-${kind}`, "data-kind": kind });
  const view = new View(model, root);
  const { ctx } = view;
  root.append(make ? make(ctx) : `This bundle does not know the widget kind "${kind}".`);
  if (kind !== "workbench") root.append(problem(ctx));
  keepTyped(ctx, root);
  // While a control is in use the kernel must not have the view drawn anew.
  const hand = handOf(String(model.get("key") ?? ""));
  hand.attach(ctx, () => undefined);
  for (const event of ["pointerdown", "keydown", "input", "wheel"]) root.addEventListener(event, () => hand.touch(), { passive: true, capture: true });
  root.addEventListener("pointerdown", () => hand.lift(), { passive: true, capture: true });
  root.addEventListener("pointermove", (e) => { if (e.buttons) hand.touch(); }, { passive: true, capture: true });
  return view;
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

export default { render };
