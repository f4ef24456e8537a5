"use strict";
/* The sets of one step as lanes over the positions, and the selector's arrows above them. */

const SVG = "http://www.w3.org/2000/svg";

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

class Bands {
  /** Draw lanes in `root`; `onMark(runs or null)` is called when the reader presses the name of a set. */
  constructor(root, row, onMark) {
    this.row = row;
    this.onMark = onMark;
    this.lanes = root.querySelector(".lanes");
    this.zoom = root.querySelector(".zoom input");
    this.zoom.addEventListener("change", () => this.show(this.state));
    this.pressed = null;
    this.picked = null;
    // Lanes stay in their places while the steps go by, so every name that any step has gets one.
    this.names = new Map();
    for (let state = 1; state <= row.n; state++) {
      for (const [name, kind] of row.sets(state)) this.names.set(name, kind);
    }
    this.hasEdges = row.steps.some((step) => Object.keys(step.details?.edges ?? {}).length);
  }

  /** First and last position shown: everything, or what the block has to do with. */
  range(state) {
    const step = this.row.at(state);
    if (!this.zoom.checked || !step) return [0, this.row.length];
    const around = Math.min(12, step.block[1] - step.block[0]);
    return [Math.max(0, step.block[0] - around), Math.min(this.row.length, step.block[1] + 4)];
  }

  show(state) {
    this.state = state;
    const [start, stop] = this.range(state);
    const sets = new Map(this.row.sets(state).map(([name, , runs]) => [name, runs]));
    const focus = this.lanes.contains(document.activeElement) ? document.activeElement.dataset.set : null;
    this.lanes.replaceChildren();
    if (this.hasEdges) this.arcs(state, start, stop);
    if (this.lanes.clientWidth - 110 >= 8 * (stop - start)) this.tokens(state, start, stop);
    for (const [name, kind] of this.names) this.lane(name, kind, sets.get(name) ?? [], start, stop);
    this.lanes.append(element("span", "about", "position"), this.axis(start, stop));
    if (focus) [...this.lanes.querySelectorAll("button")].find((one) => one.dataset.set === focus)?.focus();
    if (this.pressed !== null) this.onMark(sets.get(this.pressed) ?? []);
  }

  lane(name, kind, runs, start, stop) {
    const button = element("button");
    button.type = "button";
    button.dataset.set = name;
    button.setAttribute("aria-pressed", String(this.pressed === name));
    button.title = "mark these positions in the text";
    button.append(element("span", "", name), element("b", "", digits(size(runs))));
    button.addEventListener("click", () => {
      this.pressed = this.pressed === name ? null : name;
      this.onMark(this.pressed === null ? null : runs);
      this.show(this.state);
    });
    const svg = this.strip(start, stop, 1);
    svg.setAttribute("aria-label", `${name}: ${size(runs)} positions`);
    for (const [from, to] of runs) svg.append(drawn("rect", { class: kind, x: from, y: 0.1, width: to - from, height: 0.8 }));
    this.cross(svg, 1);
    this.lanes.append(button, svg);
  }

  strip(start, stop, height) {
    const svg = drawn("svg", { viewBox: `${start} 0 ${stop - start} ${height}`, preserveAspectRatio: "none", role: "img" });
    svg.append(drawn("rect", { class: "prompt", x: 0, y: 0, width: this.row.prompt.length, height }));
    return svg;
  }

  cross(svg, height) {
    if (this.picked !== null) svg.append(drawn("rect", { class: "cross", x: this.picked, y: 0, width: 1, height }));
  }

  arcs(state, start, stop) {
    const edges = this.row.edges(state);
    const svg = this.strip(start, stop, 100);
    svg.classList.add("arcs");
    const chosen = this.row.at(state)?.chosen ?? [];
    const height = (from, to) => 100 - Math.min(98, 24 * Math.abs(from - to) ** 0.4);
    const paths = edges.map(([, from, to]) => {
      const live = holds(chosen, from);
      const touched = this.picked === from || this.picked === to;
      const path = drawn("path", {
        class: `${live ? "live" : ""} ${touched ? "touched" : ""}`,
        d: `M ${from + 0.5} 100 C ${from + 0.5} ${height(from, to)} ${to + 0.5} ${height(from, to)} ${to + 0.5} 100`,
      });
      return [Number(touched) * 2 + Number(live), path];
    });
    svg.append(...paths.sort((a, b) => a[0] - b[0]).map(([, path]) => path));
    svg.setAttribute("aria-label", `${edges.length} arrows: ${edges.slice(0, 40).map(([name, a, b]) => `${a} ${name} ${b}`).join(", ")}`);
    const names = [...new Set(edges.map(([name]) => name))];
    this.lanes.append(element("span", "about", `${names.join(", ") || "arrows"} ${edges.length}`), svg);
  }

  /** The tokens themselves, where there is room for them: 8 pixels each, right of 110 for the names. */
  tokens(state, start, stop) {
    const line = element("div", "tokens");
    line.setAttribute("aria-hidden", "true"); // the canvas says the same
    for (let position = start; position < stop; position++) {
      const token = this.row.tokenAt(position, state);
      const kind = token === null ? "open" : this.row.step[position] === state - 1 ? "new" : "";
      const text = token === null ? "·" : this.row.isEnd(token) ? "∎" : picture(this.row.text(token)).trim() || "␣";
      const mark = element("span", `${kind} ${[...text].length === 1 ? "short" : ""}`, text);
      mark.style.left = `${(100 * (position + 0.5 - start)) / (stop - start)}%`;
      line.append(mark);
    }
    this.lanes.append(element("span", "about", "token"), line);
  }

  axis(start, stop) {
    const axis = element("div", "axis");
    const wide = stop - start;
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((unit) => wide / unit <= 6) ?? 2000;
    const ticks = [start];
    for (let at = Math.ceil((start + wide / 16) / every) * every; at < stop - wide / 9; at += every) ticks.push(at);
    for (const at of [...ticks, stop]) {
      const tick = element("span", "", at);
      tick.style.left = `${(100 * (at - start)) / wide}%`;
      axis.append(tick);
    }
    return axis;
  }
}
