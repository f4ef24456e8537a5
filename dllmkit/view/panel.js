"use strict";
/* One run: its meters, its canvas, its sets and its history, all in one state. */

class Panel {
  /** `most` are the largest counts of all runs, so that the bars of two runs can be compared. */
  constructor(run, data, most, onSeek) {
    this.row = new Row(data, run.texts);
    this.most = most;
    this.root = document.getElementById("run-template").content.cloneNode(true).firstElementChild;
    this.root.querySelector("h2").textContent = run.name;
    this.root.querySelector(".components").textContent = run.components;
    this.root.querySelector(".text pre").textContent = data.answer ?? "not finished, or no tokenizer";
    this.cells = new Cells(this.root.querySelector(".canvas"), this.row, (position) => this.pick(position));
    this.bands = new Bands(this.root.querySelector(".sets"), this.row, (runs) => this.mark(runs));
    this.history = new History(this.root.querySelector(".history"), this.row, onSeek);
    this.now = this.root.querySelector(".now");
    this.inspector = this.root.querySelector(".inspector");
    this.meters = {};
    for (const [name, kind] of [["forwards", ""], ["query tokens", ""], ["tokens", "done"]]) this.addMeter(name, kind);
  }

  addMeter(name, kind) {
    const meter = element("div", `meter ${kind}`);
    const bar = element("div", "bar");
    bar.append(element("i"));
    meter.append(element("b"), element("span"), bar);
    meter.setAttribute("role", "meter");
    meter.setAttribute("aria-label", name);
    meter.setAttribute("aria-valuemin", 0);
    this.root.querySelector(".meters").append(meter);
    this.meters[name] = meter;
  }

  setMeter(name, value, most, text) {
    const meter = this.meters[name];
    const [bold, rest, bar] = meter.children;
    bold.textContent = digits(value);
    rest.textContent = ` ${text}`;
    bar.firstChild.style.setProperty("--share", `${(100 * value) / Math.max(most, 1)}%`);
    meter.setAttribute("aria-valuenow", value);
    meter.setAttribute("aria-valuemax", most);
    meter.setAttribute("aria-valuetext", `${digits(value)} ${text}`);
  }

  show(state, colour) {
    Object.assign(this, { state, colour });
    const { row } = this;
    const generated = row.length - row.prompt.length;
    this.setMeter("forwards", state, this.most.n, `of ${row.n} forwards (NFE)`);
    this.setMeter("query tokens", row.work[state], this.most.work, `of ${digits(row.work[row.n])} query tokens`);
    const rate = state ? (row.committed[state] / state).toFixed(1) : "0";
    this.setMeter("tokens", row.committed[state], generated, `of ${generated} committed, ${rate} a forward`);
    this.now.textContent = this.sentence(state);
    this.bands.show(state);
    this.cells.show(state, colour);
    this.history.show(state);
    this.inspect();
  }

  sentence(state) {
    const { row } = this;
    const step = row.at(state);
    if (!step) return "before the first step";
    const parts = [
      `step ${state - 1}${row.cached ? `: ${step.refresh ? "refresh" : "refine"}` : ""}`,
      `block ${step.block[0]}–${step.block[1]}`,
      `query ${digits(size(step.query))} of ${digits(size(step.visible))} visible`,
      `committed ${size(step.chosen)} of ${size(step.eligible)} eligible`,
    ];
    if (step.forced) parts.push("forced: the selector chose nothing");
    if (step.overwrites) parts.push(`overwrote ${step.overwrites.map(([position]) => position).join(", ")}`);
    if (state === row.n) parts.push(row.stopReason === null ? "unfinished" : `stopped: ${row.stopReason}`);
    return parts.join(" · ");
  }

  mark(runs) {
    this.cells.marked = runs;
    if (this.state !== undefined) this.cells.show(this.state, this.colour);
  }

  pick(position) {
    if (position === this.cells.picked) return;
    this.cells.picked = this.bands.picked = position;
    this.cells.show(this.state, this.colour);
    this.bands.show(this.state);
    this.inspect();
  }

  /** Say everything about the position under the pointer. */
  inspect() {
    const { row, state } = this;
    const position = this.cells.picked;
    if (position === null) {
      this.inspector.textContent = "Point at a token, or tap it, to see what is known of it.";
      return;
    }
    const parts = [this.cells.spoken(position, state)];
    const token = row.tokenAt(position, state);
    if (token !== null) parts.push(`token ${token}`);
    const within = row.sets(state).filter(([, , runs]) => holds(runs, position)).map(([name]) => name);
    if (within.length) parts.push(`in ${within.join(", ")}`);
    const edges = row.edges(state).filter(([, from]) => from === position);
    const target = ([name, , to, weight]) => `${name} ${to} ${picture(JSON.stringify(row.text(row.tokenAt(to, state))))} (${weight})`;
    if (edges.length) parts.push(edges.map(target).join(", "));
    this.inspector.textContent = parts.join(" · ");
  }
}
