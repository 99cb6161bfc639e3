// What was clicked, as code: the Python cell or the recipe that makes the chosen model again.
import { type Context, button } from "./context";
import { h, show, text } from "./dom";
import type { CandidatesView, ScriptView } from "./types";

const TITLES: Record<string, string> = {
  code: "Python that makes this model again, bit for bit, without the workbench",
  recipe: "The recipe (YAML) that makes this model again: save it as recipe.yaml and run slimlab run recipe.yaml",
};

export class Script {
  readonly el: HTMLElement;
  readonly buttons: HTMLButtonElement[];
  private title = h("b");
  private body = h("pre", { class: "slim-code", tabindex: 0, role: "region", "data-lm-suppress-shortcuts": "true" });
  private copied = h("span", { class: "slim-note", role: "status" });

  /** `which` names the model in the page's own list: the kernel may not have heard of the choice yet. */
  constructor(private ctx: Context, which: () => string) {
    this.buttons = ["code", "recipe"].map((kind) => button(`Show the ${kind}`, kind, TITLES[kind], () => {
      ctx.memory.script = true;
      ctx.send(kind, { name: which() });
      this.draw();
    }));
    const copy = button("Copy", "copy", "Copy this text", () => void this.copy());
    const hide = button("Hide", "hide", "Hide this text", () => { ctx.memory.script = false; this.draw(); });
    this.el = h("div", { class: "slim-script", hidden: true },
      h("div", { class: "slim-controls" }, this.title, copy, hide, this.copied), this.body);
    ctx.watch(["script"], () => this.draw());
    ctx.watch(["candidates", "job"], () => {
      for (const one of this.buttons) one.disabled = !ctx.get<CandidatesView>("candidates").rows?.length;
    });
  }

  private draw(): void {
    const { kind = "", name = "", text: said = "" } = this.ctx.get<ScriptView>("script");
    show(this.el, this.ctx.memory.script && said !== "");
    if (this.body.textContent !== said) text(this.copied, "");
    text(this.title, `${kind === "recipe" ? "Recipe" : "Code"} of \u201c${name}\u201d`);
    text(this.body, said);
    this.body.setAttribute("aria-label", `${kind === "recipe" ? "Recipe" : "Code"} of ${name}`);
    this.el.dataset.script = kind;
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.body.textContent ?? "");
      text(this.copied, "Copied.");
    } catch {
      // No clipboard without a secure page or the user's leave: what is selected can be copied by key.
      getSelection()?.selectAllChildren(this.body);
      text(this.copied, "Selected: press Ctrl+C.");
    }
  }
}
