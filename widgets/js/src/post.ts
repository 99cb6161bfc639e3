// Each click reaches the kernel once, also where the connection was lost on its way: messages are numbered, the kernel says how
// far it has heard them, and what it did not hear is sent again. It lives outside of the view, as the hand does.
import type { Model } from "./types";

interface Letter { post: [string, number]; event: string }

export const FIRST_WAIT = 1000; // ms until a message is sent again; twice as long each time
const LONGEST_WAIT = 10_000;
/** So many tries without an answer, and the person is told. */
const PATIENCE = 3;
/** So many at a time are sent again. */
const MOST = 50;
/** What comes again by itself may get lost. */
const LIGHT = new Set(["touch"]);

export class Post {
  /** Whether a person should know that nobody answers. */
  unheard = false;
  private readonly sender = Math.random().toString(36).slice(2);
  private letters: Letter[] = [];
  private number = 0;
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private watchers = new Set<() => void>();
  private model!: Model;

  /** Send through this view's model and listen to its kernel, until the function that comes back is called. */
  attach(model: Model, changed: () => void): () => void {
    this.model = model;
    const listen = (message: { heard?: [string, number] }) => this.heard(message?.heard);
    model.on("msg:custom", listen);
    this.watchers.add(changed);
    return () => {
      model.off("msg:custom", listen);
      this.watchers.delete(changed);
    };
  }

  send(event: string, facts: Record<string, unknown>): void {
    if (LIGHT.has(event)) return this.out({ event, ...facts });
    this.number += 1;
    const letter: Letter = { event, ...facts, post: [this.sender, this.number] };
    this.letters.push(letter);
    this.out(letter);
    this.wait();
  }

  private heard(answer?: [string, number]): void {
    if (!answer || answer[0] !== this.sender || answer[1] > this.number) return;
    this.letters = this.letters.filter((letter) => letter.post[1] > answer[1]);
    this.tries = 0;
    this.tell(false);
    if (this.letters.length) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private wait(): void {
    if (this.timer !== null || !this.letters.length) return;
    const ms = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.tries);
    this.timer = setTimeout(() => {
      this.timer = null;
      this.tries += 1;
      for (const letter of this.letters.slice(0, MOST)) this.out(letter);
      if (this.tries >= PATIENCE) this.tell(true);
      this.wait();
    }, ms);
  }

  private out(content: object): void {
    try {
      this.model.send(content);
    } catch (error) {
      console.debug("not sent, to be sent again:", error); // the kernel is dead, or about to come back
    }
  }

  private tell(unheard: boolean): void {
    if (this.unheard === unheard) return;
    this.unheard = unheard;
    for (const changed of this.watchers) changed();
  }
}

const posts = new Map<string, Post>();

export function postOf(key: string): Post {
  let post = posts.get(key);
  if (!post) posts.set(key, (post = new Post()));
  return post;
}
