import { describe, expect, it } from "vitest";
import { Offer } from "../src/offer";
import { context } from "./model";

const SCAN = { when: 1_790_000_000, measured: 40, planned: 1200, complete: false, images: 359, criterion: "l1_norm" };

function said(offer: Record<string, unknown>): string | null {
  const { ctx } = context({ offer_view: offer, job_view: {} });
  const panel = new Offer(ctx);
  return panel.el.hidden ? null : panel.el.textContent!.replace(/from .*?(?=[:.])/, "from then");
}

describe("what an earlier kernel left", () => {
  it("is told in one sentence", () => {
    expect(said({})).toBeNull();
    expect(said(SCAN)).toContain("40 of 1,200 cells, not finished, 359 images, l1 norm.");
    expect(said({ ...SCAN, models: ["a", "b"], picked: 1, snapshots: 2 })).toContain(" With ratios of 1 layer; 2 snapshots; the pruned models “a”, “b”.");
    expect(said({ ...SCAN, exports: 1, owner: "another kernel (process 7)" })).toContain(
      " With 1 export. It is open in another kernel (process 7): this bench takes a copy.");
    expect(said({ when: SCAN.when, models: ["a"], picked: 0, snapshots: 0 })).toContain("Work on this network is on the disk");
  });

  it("waits while a job runs, and is taken up or left by a button", () => {
    const { ctx, model } = context({ offer_view: SCAN, job_view: { status: "running" } });
    const panel = new Offer(ctx);
    expect(panel.el.hidden).toBe(true);
    model.set("job_view", { status: "done" });
    for (const action of ["use_scan", "leave_scan"]) panel.el.querySelector<HTMLButtonElement>(`[data-action="${action}"]`)!.click();
    expect(model.sent).toEqual([{ event: "use_scan" }, { event: "leave_scan" }]);
  });
});
