"use strict";
/* The controls: which prompt, which step, playing, keys. */

const byId = (id) => document.getElementById(id);

class Player {
  constructor() {
    this.panels = [];
    this.notch = 0;
    this.timer = null;
    this.slider = byId("slider");
    for (const [index, entry] of page.rows.entries()) {
      const option = element("option", "", `${entry.row + 1}: ${picture(entry.label)}`);
      option.value = index;
      byId("row").append(option);
    }
    byId("row-choice").hidden = page.rows.length < 2;
    byId("sync-choice").hidden = page.runs.length < 2;
    byId("runs").classList.toggle("two", page.runs.length > 1);
    byId("note").hidden = !page.note;
    byId("note").textContent = page.note;
    byId("row").addEventListener("change", () => this.open(Number(byId("row").value)));
    byId("sync").addEventListener("change", () => this.align());
    byId("colour").addEventListener("change", () => this.show());
    byId("speed").addEventListener("change", () => this.timer !== null && this.play());
    byId("theme").addEventListener("click", () => this.toggleTheme());
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    byId("player").addEventListener("click", (event) => this.act(event.target.closest("button")?.dataset.do));
    document.addEventListener("keydown", (event) => this.key(event));
    this.open(0);
  }

  /** Show a prompt, in all runs that have it. */
  open(index) {
    this.stop();
    const entry = page.rows[index];
    const given = entry.runs.map((data, i) => [page.runs[i], data]).filter(([, data]) => data !== null);
    const work = ({ steps }) => steps.reduce((sum, step) => sum + size(step.query), 0);
    const most = {
      n: Math.max(...given.map(([, data]) => data.steps.length)),
      work: Math.max(...given.map(([, data]) => work(data))),
    };
    this.panels = given.map(([run, data], i) => new Panel(run, data, most, (state) => this.seekTo(i, state)));
    byId("runs").replaceChildren(...this.panels.map((panel) => panel.root));
    this.align();
    this.seek(this.times.length - 1);
  }

  /** Lay out the notches of the slider, and stay where the first run is. */
  align() {
    const state = this.panels[0].state ?? 0;
    this.times = timeline(this.panels.map((panel) => panel.row), byId("sync").value);
    this.slider.max = this.times.length - 1;
    byId("ticks").replaceChildren(...this.refreshTicks());
    this.seekTo(0, state);
  }

  refreshTicks() {
    const last = Math.max(this.times.length - 1, 1);
    return this.times.flatMap((states, notch) => {
      // Steps that this notch adds: more than one where a run is fast.
      const added = this.panels.flatMap((panel, i) => {
        const before = notch ? this.times[notch - 1][i] : states[i];
        return Array.from({ length: states[i] - before }, (_, k) => before + k).filter((step) => panel.row.isRefresh(step));
      });
      if (!added.length) return [];
      const tick = element("i");
      tick.title = `refresh in step ${[...new Set(added)].join(", ")}`;
      tick.style.left = `${(100 * notch) / last}%`;
      return [tick];
    });
  }

  /** Go to where run `i` is in `state`. */
  seekTo(i, state) {
    const notch = this.times.findIndex((states) => states[i] >= state);
    this.seek(notch < 0 ? this.times.length - 1 : notch);
  }

  seek(notch) {
    this.notch = Math.max(0, Math.min(this.times.length - 1, notch));
    this.show();
  }

  show() {
    const colour = byId("colour").value;
    byId("runs").classList.toggle("order", colour === "order");
    const states = this.times[this.notch];
    this.panels.forEach((panel, i) => panel.show(states[i], colour));
    this.slider.value = this.notch;
    const said = this.panels.map((panel, i) => `${states[i]} of ${panel.row.n}`).join(" | ");
    byId("status").textContent = `after forward ${said}`;
    this.slider.setAttribute("aria-valuetext", byId("status").textContent);
  }

  act(name) {
    const last = this.times.length - 1;
    if (name === "play") {
      if (this.timer !== null) this.stop();
      else this.play();
    } else if (name) {
      this.stop();
      this.seek({ first: 0, back: this.notch - 1, on: this.notch + 1, last }[name]);
    }
  }

  play() {
    this.stop();
    const last = this.times.length - 1;
    if (this.notch >= last) this.seek(0);
    this.timer = setInterval(() => {
      this.seek(this.notch + 1);
      if (this.notch >= last) this.stop();
    }, 1000 / Number(byId("speed").value));
    this.showPlaying();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.showPlaying();
  }

  showPlaying() {
    const button = document.querySelector("[data-do=play]");
    button.classList.toggle("playing", this.timer !== null);
    button.setAttribute("aria-label", this.timer === null ? "Play" : "Pause");
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    const name = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", " ": "play" }[event.key];
    if (!name || (name === "play" && event.target.matches("button, summary, [type=checkbox]"))) return;
    event.preventDefault(); // the slider would move as well, and the page scroll
    this.act(name);
  }

  toggleTheme() {
    const root = document.documentElement;
    const chosen = root.style.colorScheme;
    const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.style.colorScheme = dark ? "light" : "dark";
  }
}

new Player();
