"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  for (const problem of data.problems) for (const answer of problem.answers) answer.text = problem.texts[answer.text];
  const $ = (id) => document.getElementById(id);

  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  $("theme").hidden = false;
  if (!$("explorer")) return;
  $("explorer").hidden = false;

  // every text of a model or a prompt gets into the page through textContent alone
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const sign = (right) => (right ? "✓" : "✗");
  const sure = (confidence) => (confidence === null ? "" : ` (${confidence.toFixed(2)})`);
  const when = (step) => (step < 0 ? "filled in by a stop rule" : `step ${step}`);

  function* differing(a, b) { // the part of a between what begins and what ends both alike
    let start = 0;
    while (start < a.length && start < b.length && a[start] === b[start]) start++;
    let end = 0;
    while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
    yield [a.slice(0, start), false];
    yield [a.slice(start, a.length - end), true];
    yield [a.slice(a.length - end), false];
  }

  const side = (label, answer, other, className) => {
    const box = make("div", undefined, `box ${className}`);
    const head = make("h3", `${sign(answer.right)} ${label}`);
    head.append(make("span", `  ${answer.nfe} forwards, ${answer.length} tokens`, "note"));
    const text = make("p", undefined, "text");
    for (const [part, differs] of differing([...answer.text], [...other.text])) {
      if (part.length) text.append(make(differs ? "mark" : "span", part.join("")));
    }
    box.append(head, text);
    return box;
  };

  const story = (where, labels) => {
    const place = (p) =>
      `position ${p.position}: ${labels[0]} “${p.texts[0]}”, ${when(p.steps[0])}${sure(p.confidence[0])}; ` +
      `${labels[1]} “${p.texts[1]}”, ${when(p.steps[1])}${sure(p.confidence[1])}`;
    const lines = make("div", undefined, "facts");
    if (!where) return make("p", "Another checkpoint than the reference's: tokens cannot be compared.", "note");
    if (where.step !== null) lines.append(make("p", `They first commit different tokens or positions in step ${where.step}.`));
    if (!where.in_text) lines.append(make("p", "The answers are the same, token for token."));
    else {
      lines.append(make("p", `First difference in the text, ${place(where.in_text)}.`));
      if (where.in_time.position !== where.in_text.position)
        lines.append(make("p", `First difference in time, ${place(where.in_time)}.`));
    }
    return lines;
  };

  const state = { other: 1, filter: "verdict", current: null };
  const wanted = (problem) => {
    const [first, second] = [problem.answers[0], problem.answers[state.other]];
    if (state.filter === "verdict") return first.right !== second.right;
    return state.filter === "all" || first.text !== second.text;
  };

  const show = () => {
    const problem = state.current;
    $("detail").replaceChildren();
    if (!problem) return void $("detail").append(make("p", "No problem of this kind.", "note"));
    const labels = [data.labels[0], data.labels[state.other]];
    const [first, second] = [problem.answers[0], problem.answers[state.other]];
    const asked = make("div", undefined, "box");
    asked.append(make("h3", `${problem.id}, ${problem.kind}`), make("p", problem.prompt, "text"));
    asked.append(make("p", `Wanted: ${problem.answer}`, "text note"));
    const sides = make("div", undefined, "sides");
    sides.append(side(labels[0], first, second, ""), side(labels[1], second, first, "ours-mark"));
    $("detail").append(asked, sides, story(second.divergence, labels));
  };

  const list = () => {
    const kept = data.problems.filter(wanted);
    if (!kept.includes(state.current)) state.current = kept[0] ?? null;
    $("count").textContent = `${kept.length} of ${data.problems.length} problems`;
    $("list").replaceChildren(...kept.map((problem) => {
      const button = make("button");
      const pair = `${sign(problem.answers[0].right)} ${sign(problem.answers[state.other].right)} `;
      button.append(make("span", pair, "verdict"), make("span", problem.kind), make("span", problem.prompt, "ask"));
      button.setAttribute("aria-current", problem === state.current);
      button.addEventListener("click", () => { state.current = problem; list(); });
      const item = make("li");
      item.append(button);
      return item;
    }));
    show();
  };

  data.labels.forEach((label, i) => { if (i) $("other").append(new Option(label, i)); });
  $("other").addEventListener("change", (event) => { state.other = Number(event.target.value); list(); });
  $("filter").addEventListener("change", (event) => { state.filter = event.target.value; list(); });
  const most = (filter) => Math.max(...data.labels.slice(1).map((_, i) => {
    Object.assign(state, { other: i + 1, filter });
    return data.problems.filter(wanted).length;
  }));
  const filter = ["verdict", "text", "all"].find((name) => most(name) > 0) ?? "all";
  const counts = data.labels.slice(1).map((_, i) => {
    Object.assign(state, { other: i + 1, filter });
    return data.problems.filter(wanted).length;
  });
  Object.assign(state, { other: counts.indexOf(Math.max(...counts)) + 1, filter }); // begin where there is most to see
  $("other").value = state.other;
  $("filter").value = filter;
  list();
})();
