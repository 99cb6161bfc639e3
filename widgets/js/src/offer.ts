// What an earlier kernel left on the disk, offered on every page of the workbench until it is taken up or left.
import { type Context, type Panel, button } from "./context";
import { h, show, text } from "./dom";
import { whole } from "./format";
import type { OfferView } from "./types";

export class Offer implements Panel {
  readonly el: HTMLElement;
  private offered = h("span", {});

  constructor(private ctx: Context) {
    this.el = h("div", { class: "slim-controls slim-offer", role: "group", "aria-label": "Earlier work on the disk", hidden: true }, this.offered,
      button("Use it", "use_scan", "Take up what is on the disk; Resume measures what the scan left out", () => ctx.send("use_scan"), true),
      button("Not now", "leave_scan", "Don\u2019t offer it; its files stay", () => ctx.send("leave_scan")));
    ctx.watch(["offer", "job"], () => this.draw());
  }

  private draw(): void {
    const { when, measured, planned = 0, complete, images = 0, criterion = "", models = [], picked = 0, snapshots = 0, exports = 0, owner = "" } = this.ctx.get<OfferView>("offer");
    show(this.el, when !== undefined && !this.ctx.busy);
    if (when === undefined) return;
    const many = (n: number, name: string) => (n ? [`${whole(n)} ${name}${n === 1 ? "" : "s"}`] : []);
    const rest = [...(picked ? [`ratios of ${whole(picked)} layer${picked === 1 ? "" : "s"}`] : []), ...many(snapshots, "snapshot"),
      ...(models.length ? [`the pruned model${models.length === 1 ? "" : "s"} ${models.map((name) => `\u201c${name}\u201d`).join(", ")}`] : []), ...many(exports, "export")];
    const date = new Date(1000 * when).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    const scan = measured === undefined ? "" : `: ${whole(measured)} of ${whole(planned)} cells${complete ? "" : ", not finished"}, ${whole(images)} images, ${criterion.replace(/_/g, " ")}`;
    const what = measured === undefined ? "Work on" : "A scan of";
    const open = owner ? ` It is open in ${owner}: this bench takes a copy.` : "";
    text(this.offered, `${what} this network is on the disk, from ${date}${scan}.${rest.length ? ` With ${rest.join("; ")}.` : ""}${open}`);
  }
}
