"use strict";
/* The canvas of a row: every position is a cell. */

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

class Cells {
  /** Make the cells of a row within `root`; `onPick(position)` is called for the position under the pointer. */
  constructor(root, row, onPick) {
    this.row = row;
    this.picked = null;
    this.marked = null;
    const prompt = root.querySelector(".prompt");
    prompt.querySelector("summary").textContent = `prompt, ${row.prompt.length} tokens`;
    prompt.open = row.prompt.length <= 120;
    const lists = [prompt.querySelector(".cells"), root.querySelector(".answer")];
    lists[1].setAttribute("aria-label", "Answer, token by token");
    this.cells = Array.from({ length: row.length }, (_, position) => {
      const list = lists[position < row.prompt.length ? 0 : 1];
      const cell = element("li", "cell");
      cell.dataset.position = position;
      cell.append(element("span", "token"), element("span", "foot"));
      cell.lastChild.append(element("span"), element("span"));
      list.append(cell);
      const final = row.text(row.tokenAt(position, row.n));
      if (position >= row.prompt.length && final.includes("\n")) list.append(element("li", "break"));
      if (position > 0 && /^\s*[^\S\n]\S/.test(final)) cell.classList.add("spaced");
      return cell;
    });
    for (const kind of ["pointerover", "click"]) {
      root.addEventListener(kind, (event) => {
        const cell = event.target.closest(".cell");
        if (cell) onPick(Number(cell.dataset.position)); // and it stays, until the pointer is over another one
      });
    }
  }

  show(state, colour) {
    const step = this.row.at(state);
    const proposed = new Map();
    if (step?.details) {
      each(step.eligible, (position, i) => proposed.set(position, [step.details.tokens[i], step.details.confidence[i]]));
    }
    this.cells.forEach((cell, position) => this.draw(cell, position, state, step, proposed.get(position), colour));
  }

  draw(cell, position, state, step, proposal, colour) {
    const { row } = this;
    const token = row.tokenAt(position, state);
    const filled = row.filled(position, state);
    const given = position < row.prompt.length;
    const open = token === null;
    const isNew = !filled && row.step[position] === state - 1 && step !== undefined;
    const shown = open ? (proposal ? proposal[0] : null) : token;
    const confidence = open ? proposal?.[1] : filled ? null : row.confidence[position];
    const [text, foot] = cell.children;
    text.textContent = this.label(shown, open);
    foot.firstChild.textContent = open || given || filled ? "" : row.step[position];
    foot.lastChild.textContent = given ? "" : percent(confidence);
    const flags = {
      given, open, new: isNew, fill: this.tail(position), spaced: cell.classList.contains("spaced"),
      seen: step && holds(step.visible, position), query: step && holds(step.query, position),
      block: step && position >= step.block[0] && position < step.block[1],
      eligible: step && holds(step.eligible, position), hidden: step && !holds(step.visible, position),
      marked: this.marked !== null && holds(this.marked, position), picked: this.picked === position,
    };
    cell.className = ["cell", ...Object.keys(flags).filter((name) => flags[name])].join(" ");
    const ramp = colour === "order" ? row.step[position] / Math.max(row.n - 1, 1) : (confidence ?? 1) ** 2;
    cell.style.setProperty("--ramp", `${Math.round(100 * ramp)}%`);
    cell.setAttribute("aria-label", this.spoken(position, state));
  }

  /** Positions that end up as what a stop rule filled are drawn narrow from the start, so that nothing moves. */
  tail(position) {
    return this.row.filled(position, this.row.n) && this.row.step[position] === Infinity;
  }

  label(token, open) {
    if (token === null) return "·";
    if (this.row.isEnd(token)) return open ? "∎?" : "∎";
    const text = this.row.text(token);
    return picture(text.replace(/^ (?=\S)/, "")).replace(/^ +$/, "␣") || "∅";
  }

  /** What is known of a position in a state, in words. */
  spoken(position, state) {
    const { row } = this;
    const token = row.tokenAt(position, state);
    const where = `position ${position}`;
    if (token === null) return `${where}: masked`;
    const text = `${where}: ${picture(JSON.stringify(row.text(token)))}`;
    if (position < row.prompt.length) return `${text}, prompt`;
    if (row.filled(position, state)) return `${text}, filled by the stop rule`;
    return `${text}, committed in step ${row.step[position]} with confidence ${percent(row.confidence[position])}`;
  }
}
