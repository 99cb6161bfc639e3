import { describe, expect, it } from "vitest";
import slim from "../src/index";
import { FakeModel, GRAPH } from "./model";

const soon = () => new Promise((done) => setTimeout(done));

function bench(key = `k${Math.random()}`) {
  return new FakeModel({ kind: "workbench", key, layout: {}, heading_view: {}, graph_view: GRAPH, settings_view: {}, job_view: {}, curves_view: {}, picked_view: { ratios: {} } });
}

/** An output as JupyterLab has one, with a view of a model in it. */
function shown(model: FakeModel) {
  const output = document.createElement("div");
  const el = document.createElement("div");
  output.className = "jp-OutputArea";
  output.append(el);
  document.body.append(output);
  const stop = slim.render({ model, el });
  return { output, el, stop, root: el.querySelector<HTMLElement>(".slim")! };
}

describe("a view that is drawn anew", () => {
  it("goes on with the same elements, with nothing listening twice", async () => {
    const model = bench();
    const first = shown(model);
    const input = first.root.querySelector<HTMLInputElement>('[data-key="name"]')!;
    input.value = "half typed";
    input.focus();
    const watched = model.watched;
    first.el.remove(); // what JupyterLab does; it does not say that the view is gone
    const second = shown(model);
    expect(second.root).toBe(first.root);
    expect(second.root.querySelector<HTMLInputElement>('[data-key="name"]')!.value).toBe("half typed");
    expect(model.watched).toBe(watched);
    await soon();
    expect(document.activeElement).toBe(input);
    first.stop(); // of the view that was left
    expect(second.root.isConnected).toBe(true);
    expect(model.watched).toBe(watched);
    second.stop();
    expect(second.el.childElementCount).toBe(0);
    expect(model.watched).toBe(0);
  });

  it("leaves the focus where a person has put it since", async () => {
    const model = bench();
    const first = shown(model);
    first.root.querySelector<HTMLInputElement>('[data-key="name"]')!.focus();
    first.el.remove();
    const elsewhere = document.body.appendChild(document.createElement("input"));
    elsewhere.focus();
    shown(model);
    await soon();
    expect(document.activeElement).toBe(elsewhere);
  });

  it("is another one where the first is still to be seen", () => {
    const model = bench();
    const first = shown(model);
    const second = shown(model);
    expect(second.root).not.toBe(first.root);
    expect(first.root.isConnected).toBe(true);
  });

  it("does not take the elements of a cell that is off the page for a while", () => {
    const model = bench();
    const first = shown(model);
    first.output.remove();
    expect(shown(model).root).not.toBe(first.root);
  });

  it("does not take the elements of a model that is dead", () => {
    const first = shown(bench("one"));
    first.el.remove();
    expect(shown(bench("one")).root).not.toBe(first.root);
  });
});
