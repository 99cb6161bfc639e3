// The running job: what, how far, how long yet, and Stop. Below it the status line, where every error ends up.
import { type Context, type Panel, button } from "./context";
import { attrs, h, show, text } from "./dom";
import { seconds, whole } from "./format";
import type { JobView } from "./types";

const UNITS: Record<string, string> = { scan: "images", "fine-tune": "steps", times: "shapes", export: "images" };

export class JobBar implements Panel {
  readonly el: HTMLElement;
  private bar = h("i");
  private meter = h("div", { class: "slim-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, this.bar);
  private counts = h("span", { class: "slim-counts" });
  private stopButton: HTMLButtonElement;
  private message = h("span", { class: "slim-status", role: "status", "aria-live": "polite" });
  private warning = h("div", { class: "slim-warning slim-error", role: "alert", hidden: true });
  private silence = h("div", { class: "slim-silence slim-warning slim-error", role: "alert", hidden: true },
    "The kernel does not answer. What you do here is sent to it again until it does; if it was stopped, start it and run the cells again.");
  private details = h("details", { class: "slim-details" }, h("summary", {}, "Details"), h("pre"));

  constructor(private ctx: Context) {
    this.stopButton = button("Stop", "stop", "Stop the running job and keep what it has so far", () => {
      this.stopButton.disabled = true;
      ctx.send("stop");
    });
    this.el = h("div", { class: "slim-jobbar" },
      this.meter, h("div", { class: "slim-jobline" }, this.message, this.counts, this.stopButton), this.warning, this.silence, this.details);
    ctx.onUnheard((unheard) => show(this.silence, unheard));
    ctx.watch(["job"], () => this.draw());
  }

  private draw(): void {
    const job = this.ctx.get<JobView>("job");
    const status = job.status ?? "idle";
    const { busy } = this.ctx;
    const [done, total] = [job.done ?? 0, job.total ?? 0];
    const percent = total > 0 ? Math.min(100, (100 * done) / total) : 0;
    this.el.setAttribute("data-status", status);
    this.el.setAttribute("data-job", job.kind ?? "");
    this.stopButton.disabled = status !== "running";
    this.bar.style.width = `${percent}%`;
    this.meter.classList.toggle("slim-unknown", busy && total <= 1);
    attrs(this.meter, { "aria-valuenow": Math.round(percent), "data-done": done, "data-total": total });
    const left = busy && job.left !== null && job.left !== undefined ? `, ${seconds(job.left)} left` : "";
    const took = !busy && job.elapsed ? `, ${seconds(job.elapsed)}` : "";
    const unit = UNITS[job.kind ?? ""];
    const far = unit ? `${whole(done)} / ${whole(total)} ${unit}` : `${Math.round(percent)} %`;
    text(this.counts, total > 1 ? `${far}${left}${took}` : "");
    text(this.message, job.message || "Ready.");
    this.message.title = job.message ?? "";
    this.message.classList.toggle("slim-error", status === "error");
    show(this.warning, !!job.warning);
    text(this.warning, job.warning ?? "");
    show(this.details, !!job.details);
    text(this.details.querySelector("pre")!, job.details ?? "");
  }
}
