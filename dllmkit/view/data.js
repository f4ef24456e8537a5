"use strict";
/* What was recorded, as the other files read it. Positions are absolute; sets are runs [[start, stop), ...]. */

const page = JSON.parse(document.getElementById("data").textContent);

/** Call `visit(position, index)` for every position of runs, in order. */
function each(runs, visit) {
  let index = 0;
  for (const [start, stop] of runs) {
    for (let position = start; position < stop; position++) visit(position, index++);
  }
}

const holds = (runs, position) => runs.some(([start, stop]) => start <= position && position < stop);
const size = (runs) => runs.reduce((sum, [start, stop]) => sum + stop - start, 0);
const digits = (number) => number.toLocaleString("en");

/** A confidence in two digits: .97, and 1 only if it is 1. */
function percent(confidence) {
  if (confidence === null || confidence === undefined) return "";
  if (confidence > 0.995) return confidence >= 0.99995 ? "1" : ">.99";
  return confidence.toFixed(2).replace(/^0/, "");
}

/** Text of a token as it is safe to show: what moves the cursor or turns the line around becomes a picture. */
function picture(text) {
  return text.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** One row of one run. State s is what is seen after s steps: state 0 is the prompt and masks. */
class Row {
  constructor(data, texts) {
    Object.assign(this, data);
    this.texts = texts;
    this.n = data.steps.length;
    this.token = Array(data.length).fill(null);
    this.step = Array(data.length).fill(Infinity); // that committed a position; -1 for the prompt
    this.confidence = Array(data.length).fill(null);
    this.overwrites = []; // [step, position, token]
    this.work = [0]; // query tokens up to each state
    this.committed = [0];
    this.cached = data.steps.some((step) => !step.refresh);
    data.prompt.forEach((token, position) => {
      this.token[position] = token;
      this.step[position] = -1;
    });
    data.steps.forEach((step, number) => {
      each(step.chosen, (position, i) => {
        this.token[position] = step.tokens[i];
        this.step[position] = number;
        this.confidence[position] = step.confidence[i];
      });
      for (const [position, token] of step.overwrites ?? []) this.overwrites.push([number, position, token]);
      this.work.push(this.work[number] + size(step.query));
      this.committed.push(this.committed[number] + size(step.chosen));
    });
  }

  /** The step that led to a state; undefined for state 0. */
  at(state) {
    return this.steps[state - 1];
  }

  /** Whether a step is a refresh among others that are not: without a cache every step recomputes everything. */
  isRefresh(number) {
    return this.cached && this.steps[number].refresh;
  }

  /** Whether a stop rule has written a position that no step had given the same token. */
  filled(position, state) {
    if (this.fill === null || state < this.n || position < this.fill[0]) return false;
    return this.step[position] === Infinity || this.token[position] !== this.fill[1];
  }

  /** The token at a position in a state; null while it is masked. */
  tokenAt(position, state) {
    if (this.filled(position, state)) return this.fill[1];
    if (this.step[position] >= state) return null;
    const over = this.overwrites.filter(([number, where]) => where === position && number < state).pop();
    return over ? over[2] : this.token[position];
  }

  text(token) {
    return token === null ? "" : this.texts[token] ?? `#${token}`;
  }

  isEnd(token) {
    return this.ends.includes(token);
  }

  /** The sets of a step in the order of their lanes: [name, kind, runs]. */
  sets(state) {
    const step = this.at(state);
    if (!step) return [];
    const own = [
      ["visible", "visible", step.visible], ["query", "query", step.query], ["block", "block", [step.block]],
      ["eligible", "eligible", step.eligible], ["chosen", "chosen", step.chosen],
    ];
    return own.concat(Object.entries(step.details?.sets ?? {}).map(([name, runs]) => [name, "named", runs]));
  }

  /** The arrows of a step: [name, from, to, weight]. */
  edges(state) {
    const named = Object.entries(this.at(state)?.details?.edges ?? {});
    return named.flatMap(([name, edges]) => edges.map((edge) => [name, ...edge]));
  }
}

/** States of all runs for every notch of the slider: at the same forward, after as many query tokens, or at the same share. */
function timeline(rows, sync) {
  const longest = Math.max(...rows.map((row) => row.n));
  const count = Array.from({ length: longest + 1 }, (_, i) => i);
  if (sync === "share") return count.map((i) => rows.map((row) => Math.round((i * row.n) / Math.max(longest, 1))));
  if (sync === "forward") return count.map((i) => rows.map((row) => Math.min(i, row.n)));
  const totals = [...new Set(rows.flatMap((row) => row.work))].sort((a, b) => a - b);
  return totals.map((total) => rows.map((row) => row.work.findLastIndex((work) => work <= total)));
}
