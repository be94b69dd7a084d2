import { el, fill } from "./dom.js";

/** Pixels of a row; the style sheet has the same. */
const rowHeight = 58;
/** Rows beyond the edges, so that a quick scroll shows no gap. */
const beyond = 12;

/**
 * A list that holds any number of rows and draws those that are in sight.
 */
export class WindowedList {
  #scroller;
  #list = el("ol", { class: "rows" });
  #render;
  #onEnd;
  #count = 0;
  #total = -1;
  /** @type {Map<number, HTMLLIElement>} */
  #drawn = new Map();

  /**
   * @param {HTMLElement} scroller
   * @param {object} options
   * @param {(index: number) => HTMLElement} options.render
   * @param {() => void} options.onEnd the end of what is loaded is near
   */
  constructor(scroller, { render, onEnd }) {
    this.#scroller = scroller;
    this.#render = render;
    this.#onEnd = onEnd;
    fill(scroller, this.#list);
    scroller.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(scroller);
  }

  /**
   * Draws the rows again.
   * @param {number} count
   * @param {{ readonly isAll: boolean, readonly inserted?: number }} options `inserted` rows are new at the top: what is
   *   being read stays where it is
   */
  show(count, { isAll, inserted = 0 }) {
    this.#count = count;
    this.#total = isAll ? count : -1;
    this.#list.style.height = `${count * rowHeight}px`;
    if (inserted > 0 && this.#scroller.scrollTop > 0)
      this.#scroller.scrollTop += inserted * rowHeight;
    this.#clear();
    this.#draw();
  }

  /** @param {number} index */
  refresh(index) {
    this.#drawn.get(index)?.remove();
    this.#drawn.delete(index);
    this.#draw();
  }

  /** @param {number} index @param {{ readonly isFocused: boolean }} options */
  reveal(index, { isFocused }) {
    const top = index * rowHeight;
    const { scrollTop, clientHeight } = this.#scroller;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (top + rowHeight > scrollTop + clientHeight)
      this.#scroller.scrollTop = top + rowHeight - clientHeight;
    this.#draw();
    if (isFocused) this.#drawn.get(index)?.querySelector("a")?.focus({ preventScroll: true });
  }

  toTop() {
    this.#scroller.scrollTop = 0;
    this.#draw();
  }

  get isAtTop() {
    return this.#scroller.scrollTop < rowHeight;
  }

  #clear() {
    for (const item of this.#drawn.values()) item.remove();
    this.#drawn.clear();
  }

  #draw() {
    const { scrollTop, clientHeight } = this.#scroller;
    const first = Math.max(0, Math.floor(scrollTop / rowHeight) - beyond);
    const last = Math.min(this.#count, Math.ceil((scrollTop + clientHeight) / rowHeight) + beyond);
    for (const [index, item] of this.#drawn)
      if ((index < first || index >= last) && !item.contains(document.activeElement)) {
        item.remove();
        this.#drawn.delete(index);
      }
    for (let index = first; index < last; index += 1)
      if (!this.#drawn.has(index)) this.#insert(index);
    if (this.#total < 0 && last > this.#count - beyond) this.#onEnd();
  }

  /** Rows stay in order in the document: that is the order in which they are read and reached. @param {number} index */
  #insert(index) {
    const item = el(
      "li",
      { class: "row", "aria-setsize": this.#total, "aria-posinset": index + 1 },
      this.#render(index),
    );
    item.style.top = `${index * rowHeight}px`;
    let next = null;
    for (const [other, drawn] of this.#drawn)
      if (other > index && (next === null || other < next.index)) next = { index: other, drawn };
    this.#list.insertBefore(item, next?.drawn ?? null);
    this.#drawn.set(index, item);
  }
}
