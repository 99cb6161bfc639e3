// The smallest possible way to make elements, and the two habits that every control in JupyterLab needs.
type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((e: any) => void)>;

function fill<E extends Element>(el: E, attributes: Attributes, children: Child[]): E {
  for (const [key, value] of Object.entries(attributes)) setAttribute(el, key, value);
  for (const child of children) if (child) el.append(child);
  return el;
}

function setAttribute(el: Element, key: string, value: Attributes[string]): void {
  if (typeof value === "function") el.addEventListener(key, value);
  else if (value === true) el.setAttribute(key, "");
  else if (value !== false && value !== null && value !== undefined) el.setAttribute(key, String(value));
}

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]) {
  return fill(document.createElement(tag), attributes, children);
}

const SVG = "http://www.w3.org/2000/svg";
export function s<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]) {
  return fill(document.createElementNS(SVG, tag) as SVGElementTagNameMap[K], attributes, children);
}

export function attrs(el: Element, attributes: Record<string, string | number>): void {
  for (const [key, value] of Object.entries(attributes)) {
    const text = String(value);
    if (el.getAttribute(key) !== text) el.setAttribute(key, text);
  }
}

export function text(el: Element, value: string): void {
  if (el.textContent !== value) el.textContent = value;
}

export function show(el: HTMLElement | SVGElement, visible: boolean): void {
  if (visible) el.removeAttribute("hidden");
  else el.setAttribute("hidden", "");
}

/** JupyterLab's command mode takes the arrow keys unless the focused element itself says not to. */
export const KEYS = { "data-lm-suppress-shortcuts": "true" } as const;

/** The size of an element in pixels whenever it changes; a fixed guess where there is no layout (tests). */
export function onResize(el: HTMLElement, callback: (width: number) => void): () => void {
  if (typeof ResizeObserver === "undefined") {
    callback(640);
    return () => undefined;
  }
  const observer = new ResizeObserver((entries) => {
    const width = Math.round(entries[entries.length - 1].contentRect.width);
    if (width > 0) callback(width);
  });
  observer.observe(el);
  return () => observer.disconnect();
}
