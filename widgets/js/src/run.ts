// Fine-tuning: which candidate, how long, and its loss and accuracy while it runs.
import { type Context, type Panel, button, field, setInput } from "./context";
import { h, show, text } from "./dom";
import { bytes, capital, count, fixed, metricLabel, metricName, score, seconds, whole } from "./format";
import { LineChart } from "./linechart";
import { Pairs } from "./pairs";
import type { CandidateView, CandidatesView, GraphView, JobView, RunChart, SettingsView } from "./types";

export class RunCharts implements Panel {
  readonly el: HTMLElement;
  private loss = new LineChart("loss");
  private score = new LineChart("score");
  private rate = new LineChart("rate");
  private caption = h("p", { class: "slim-note slim-run-note" });

  constructor(ctx: Context) {
    this.el = h("div", { class: "slim-run" }, this.caption, h("div", { class: "slim-three" }, this.loss.el, this.score.el, this.rate.el));
    for (const chart of [this.loss, this.score, this.rate]) ctx.onStop(chart.stop);
    ctx.watch(["run"], () => this.draw(ctx.get<RunChart>("run")));
    ctx.watch(["job", "run"], () => this.say(ctx.get<RunChart>("run"), ctx.get<JobView>("job")));
  }

  private draw(run: RunChart): void {
    const metric = metricLabel(run.metric ?? "top1", run.unit ?? "%");
    const steps = run.steps ?? 0;
    const empty = "Press Fine-tune to see the loss and the accuracy here while the model learns.";
    this.loss.update({ points: run.loss ?? [], steps, label: "Training loss", empty, marks: false, format: (v) => fixed(v, 3) });
    this.score.update({ points: run.score ?? [], steps, label: `Test ${metric}`, empty, marks: true, format: (v) => score(v, run.unit ?? "") });
    this.rate.update({ points: run.rate ?? [], steps, label: "Learning rate", empty, marks: false, format: (v) => v.toPrecision(2) });
  }

  /** Where the training is and how long yet; afterwards, what it won. */
  private say(run: RunChart, job: JobView): void {
    const [first, last] = [run.score?.[0], run.score?.[run.score.length - 1]];
    const done = run.loss?.[run.loss.length - 1]?.[0] ?? 0;
    show(this.caption, !!first || done > 0);
    const unit = run.unit ?? "";
    const running = job.kind === "fine-tune" && job.status === "running";
    const left = !running ? "" : typeof job.left === "number" ? `, ${seconds(job.left)} left` : ", time left not known yet";
    const won = first && last ? `; ${metricName(run.metric)} ${score(first[1], unit)} before, ${score(last[1], unit)} ${running ? "now" : "after"}` : "";
    const rate = run.rate?.[run.rate.length - 1]?.[1];
    text(this.caption, `${run.name || "Model"}: step ${whole(done)} of ${whole(run.steps ?? 0)}, epoch ${fixed(run.epoch ?? 0, 1)}${left}${won}` +
      `${running && rate !== undefined ? `; learning rate ${rate.toPrecision(2)}` : ""}.`);
    this.caption.dataset.left = running && typeof job.left === "number" ? String(job.left) : "";
  }
}

/** The pruned models so far, one of them chosen. */
export class Candidates implements Panel {
  readonly el: HTMLElement;
  private body = h("tbody");
  private empty = h("div", { class: "slim-empty slim-inline" }, "No pruned model yet. Pick ratios in step 2 and press Prune.");
  private table: HTMLElement;
  private group = `slim-${Math.random().toString(36).slice(2)}`;

  constructor(private ctx: Context, private label: string) {
    const heads = ["", "Model", "MACs", "Parameters", "Weights", "Predicted drop", "Fine-tuned", "Accuracy"];
    this.table = h("table", { class: "slim-table slim-candidates", "aria-label": label },
      h("thead", {}, h("tr", {}, ...heads.map((name, i) => h("th", { scope: "col", class: i > 1 ? "slim-num" : "" }, name)))), this.body);
    this.el = h("div", {}, this.empty, h("div", { class: "slim-scroll" }, this.table));
    ctx.watch(["candidates", "graph"], () => this.draw());
  }

  private draw(): void {
    const { rows = [], chosen, unit = "%", metric } = this.ctx.get<CandidatesView>("candidates");
    const totals = this.ctx.get<GraphView>("graph").totals;
    show(this.empty, rows.length === 0);
    show(this.table, rows.length > 0);
    text(this.table.querySelector("th:last-child")!, capital(metricName(metric)));
    const cell = (value: string) => h("td", { class: "slim-num" }, value);
    const less = (is: number, was: number | undefined) => (was ? ` (${fixed(100 * (is / was - 1), 0)} %)` : "");
    this.body.replaceChildren(...rows.map((row: CandidateView) => {
      const radio = h("input", { type: "radio", name: this.group, value: row.name, "aria-label": `Choose ${row.name}`, "data-key": `${this.label}:${row.name}`,
        change: () => this.ctx.send("choose", { name: row.name }) });
      radio.checked = row.name === chosen;
      const pick = () => { if (row.name !== chosen) this.ctx.send("choose", { name: row.name }); };
      return h("tr", { "data-candidate": row.name, "data-epochs": row.epochs, class: row.name === chosen ? "slim-selected" : "", click: pick },
        h("td", {}, radio), h("th", { scope: "row" }, row.name),
        cell(count(row.macs) + less(row.macs, totals?.macs)), cell(count(row.params)), cell(bytes(row.bytes)),
        cell(row.drop === null ? "–" : `${fixed(row.drop, 1)} points`),
        cell(row.epochs > 0 ? `${row.epochs % 1 ? row.epochs.toFixed(1) : row.epochs} epoch${row.epochs === 1 ? "" : "s"}` : "no"),
        cell(row.score === null ? "not measured" : score(row.score, unit)));
    }));
  }
}

export class FineTune implements Panel {
  readonly el: HTMLElement;
  private epochs = h("input", { type: "number", min: 1, max: 1000, step: 1, "data-key": "epochs" });
  private rate = h("input", { type: "number", min: 0, max: 10, step: "any", "data-key": "rate" });
  private teacher = h("input", { type: "checkbox", "data-key": "teacher" });
  private start: HTMLButtonElement;

  constructor(private ctx: Context) {
    this.start = button("Fine-tune", "fine_tune", "Train the chosen model on, so that it wins back accuracy; Stop keeps the model so far", () => ctx.send("fine_tune", this.values()), true);
    this.epochs.title = "Passes over the training images";
    this.rate.title = "Learning rate at the start";
    this.teacher.title = "Add a loss that pulls the pruned model's outputs to those of the model it came from (soft labels)";
    for (const input of [this.epochs, this.rate, this.teacher]) input.addEventListener("change", () => ctx.send("settings", this.values()));
    const candidates = new Candidates(ctx, "Pruned models to fine-tune");
    const charts = new RunCharts(ctx);
    this.el = h("div", { class: "slim-finetune" }, candidates.el,
      h("div", { class: "slim-controls", role: "group", "aria-label": "Fine-tuning" },
        field("Epochs", this.epochs), field("Learning rate", this.rate), field("Learn from the unpruned model", this.teacher), this.start),
      new Pairs(ctx).el, charts.el);
    ctx.watch(["settings"], () => this.settings());
    ctx.watch(["job", "candidates"], () => {
      this.start.disabled = ctx.busy || !ctx.get<CandidatesView>("candidates").rows?.length;
    });
  }

  private values(): Record<string, unknown> {
    return { epochs: Number(this.epochs.value), learning_rate: Number(this.rate.value), teacher: this.teacher.checked };
  }

  private settings(): void {
    const settings = this.ctx.get<SettingsView>("settings");
    setInput(this.epochs, String(settings.epochs ?? 1));
    setInput(this.rate, String(settings.learning_rate ?? 0.01));
    setInput(this.teacher, String(settings.teacher ?? false));
  }
}
