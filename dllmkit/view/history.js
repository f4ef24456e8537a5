"use strict";
/* All steps of a row at once: position across, step down. Pressing a step goes there. */

class History {
  constructor(root, row, onSeek) {
    this.row = row;
    this.svg = root.querySelector(".map");
    this.svg.setAttribute("viewBox", `0 0 ${row.length} ${Math.max(row.n, 1)}`);
    this.svg.style.height = `${Math.min(300, Math.max(56, 10 * row.n))}px`;
    this.svg.setAttribute("aria-label", this.spoken());
    row.steps.forEach((step, y) => {
      this.paint(step.visible, "visible", y);
      this.paint(step.query, "query", y);
      this.paint([step.block], "block", y);
      this.paint(step.chosen, "chosen", y);
      if (row.isRefresh(y)) this.paint([[0, row.length / 150]], "refresh", y);
    });
    this.later = drawn("rect", { class: "later", x: 0, width: row.length });
    this.at = drawn("rect", { class: "at", x: 0, width: row.length, height: 1 });
    this.svg.append(this.later, this.at);
    this.svg.addEventListener("click", (event) => {
      const box = this.svg.getBoundingClientRect();
      onSeek(1 + Math.min(row.n - 1, Math.floor((row.n * (event.clientY - box.top)) / box.height)));
    });
  }

  paint(runs, kind, y) {
    for (const [start, stop] of runs) {
      this.svg.append(drawn("rect", { class: kind, x: start, y, width: stop - start, height: 1 }));
    }
  }

  spoken() {
    const { row } = this;
    const refreshes = row.steps.map((_, number) => number).filter((number) => row.isRefresh(number));
    const listed = refreshes.slice(0, 20).join(", ") + (refreshes.length > 20 ? ", ..." : "");
    const said = row.cached ? `refresh in steps ${listed || "none"}` : "everything is recomputed in every step";
    return `Map of ${row.n} steps over ${row.length} positions; ${said}`;
  }

  show(state) {
    this.later.setAttribute("y", state);
    this.later.setAttribute("height", Math.max(0, this.row.n - state));
    this.at.setAttribute("y", state - 1);
    this.at.setAttribute("visibility", state ? "visible" : "hidden");
  }
}
