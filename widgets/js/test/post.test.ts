import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { JobBar } from "../src/jobbar";
import { FIRST_WAIT, Post } from "../src/post";
import { FakeModel, context } from "./model";

/** A kernel behind a model that loses what it is told to lose; it takes each number once, as slimlab_widgets.inbox does. */
class Kernel extends FakeModel {
  done: string[] = [];
  silent = true; // this one answers by itself
  deaf = false;
  mute = false;
  private heard = 0;
  send(content: any) {
    super.send(content);
    const [sender, number] = content.post ?? ["", 0];
    if (this.deaf || !number) return;
    if (number === this.heard + 1) {
      this.heard = number;
      this.done.push(content.event);
    }
    if (!this.mute) this.told({ heard: [sender, this.heard] });
  }
}

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

function posted() {
  const [kernel, post] = [new Kernel({}), new Post()];
  const detach = post.attach(kernel, () => undefined);
  return { kernel, post, detach };
}

describe("the post", () => {
  it("sends what is heard at once only once", () => {
    const { kernel, post } = posted();
    post.send("scan", { images: 5 });
    post.send("stop", {});
    vi.advanceTimersByTime(60_000);
    expect(kernel.sent).toEqual([{ event: "scan", images: 5 }, { event: "stop" }]);
    expect(kernel.posts.map(([, n]) => n)).toEqual([1, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("has what was lost carried out in its order, each once", () => {
    const { kernel, post } = posted();
    post.send("a", {});
    kernel.deaf = true;
    post.send("b", {});
    kernel.deaf = false;
    post.send("c", {}); // comes before b: it is not taken yet
    expect(kernel.done).toEqual(["a"]);
    vi.advanceTimersByTime(FIRST_WAIT);
    expect(kernel.done).toEqual(["a", "b", "c"]);
    vi.advanceTimersByTime(60_000);
    expect(kernel.done).toEqual(["a", "b", "c"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("has it carried out once where the answer was lost", () => {
    const { kernel, post } = posted();
    kernel.mute = true;
    post.send("prune", {});
    vi.advanceTimersByTime(FIRST_WAIT);
    kernel.mute = false;
    vi.advanceTimersByTime(60_000);
    expect(kernel.done).toEqual(["prune"]);
    expect(kernel.sent.length).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does not mind a kernel that throws, an answer to another page, and one to what was never sent", () => {
    const { kernel, post } = posted();
    const send = vi.spyOn(kernel, "send").mockImplementation(() => { throw new Error("Cannot send"); });
    post.send("scan", {});
    send.mockRestore();
    kernel.told({ heard: ["someone else", 9] });
    kernel.told({ heard: [(post as any).sender, 9] });
    kernel.told({ other: 1 });
    kernel.told(undefined);
    vi.advanceTimersByTime(FIRST_WAIT);
    expect(kernel.done).toEqual(["scan"]);
  });

  it("goes on through the next view of the same widget", () => {
    const { kernel, post, detach } = posted();
    kernel.deaf = true;
    post.send("scan", {});
    detach();
    const next = new Kernel({});
    post.attach(next, () => undefined);
    vi.advanceTimersByTime(FIRST_WAIT);
    expect(next.done).toEqual(["scan"]);
  });

  it("sends a touch without a number, and not again", () => {
    const { kernel, post } = posted();
    post.send("touch", {});
    expect(kernel.sent).toEqual([{ event: "touch" }]);
    expect(kernel.posts).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("says in the job bar that nobody answers, until somebody does", () => {
    const { ctx, model } = context({ job_view: {} });
    const words = new JobBar(ctx).el.querySelector<HTMLElement>(".slim-silence")!;
    expect(words.hidden).toBe(true);
    model.silent = true;
    ctx.send("scan");
    vi.advanceTimersByTime(2 * FIRST_WAIT);
    expect(words.hidden).toBe(true); // a kernel that is only busy is given time
    vi.advanceTimersByTime(10 * FIRST_WAIT);
    expect(words.hidden).toBe(false);
    model.told({ heard: model.posts[0] });
    expect(words.hidden).toBe(true);
  });
});
