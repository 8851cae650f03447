// Says, while an edit is typed, what it changes: word by word for a text, "was" for a value. The same way of counting as
// reviews/worddiff.py, which draws it when this does not run. Nothing of the text becomes markup.
(() => {
  const FARTHEST = 400; // differing words up to which the shortest change is looked for
  const HIDDEN = /[^\P{C}\n\t]|[\u115f\u1160\u2000-\u200a\u2028\u2029\u2800\u3000\u3164\uffa0]/gu;
  const seen = (text) => text.replace(HIDDEN, (one) => `⟦U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟧`);
  const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]/gu) || [];

  const back = (old, now, trail) => {
    const pieces = [];
    let [x, y] = [old.length, now.length];
    for (let steps = trail.length - 1; steps >= 0; steps -= 1) {
      const [far, line] = [trail[steps], x - y];
      const down = line === -steps || (line !== steps && far.get(line - 1) < far.get(line + 1));
      const before = down ? line + 1 : line - 1;
      while (x > far.get(before) && y > far.get(before) - before) { x -= 1; y -= 1; pieces.push(["same", old[x]]); }
      if (steps && down) { y -= 1; pieces.push(["ins", now[y]]); } else if (steps) { x -= 1; pieces.push(["del", old[x]]); }
    }
    return pieces.reverse();
  };

  const shortest = (old, now) => {
    const [far, trail] = [new Map([[1, 0]]), []];
    for (let steps = 0; steps <= Math.min(old.length + now.length, FARTHEST); steps += 1) {
      trail.push(new Map(far));
      for (let line = -steps; line <= steps; line += 2) {
        const down = line === -steps || (line !== steps && far.get(line - 1) < far.get(line + 1));
        let at = down ? far.get(line + 1) : far.get(line - 1) + 1;
        while (at < old.length && at - line < now.length && old[at] === now[at - line]) at += 1;
        far.set(line, at);
        if (at >= old.length && at - line >= now.length) return back(old, now, trail);
      }
    }
    return [...old.map((text) => ["del", text]), ...now.map((text) => ["ins", text])];
  };

  const diff = (before, after) => {
    const [old, now] = [words(before), words(after)];
    const least = Math.min(old.length, now.length);
    let [head, tail] = [0, 0];
    while (head < least && old[head] === now[head]) head += 1;
    while (tail < least - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
    const middle = shortest(old.slice(head, old.length - tail), now.slice(head, now.length - tail));
    const same = (texts) => texts.map((text) => ["same", text]);
    return [...same(old.slice(0, head)), ...middle, ...same(old.slice(old.length - tail))];
  };

  const draw = (box, after) => {
    const runs = [];
    for (const [kind, text] of diff(box.dataset.before, after)) {
      if (runs.length && runs.at(-1)[0] === kind) runs.at(-1)[1] += text;
      else runs.push([kind, text]);
    }
    box.querySelector("[data-diff-out]").replaceChildren(...runs.map(([kind, text]) => {
      if (kind === "same") return document.createTextNode(seen(text));
      const node = document.createElement(kind);
      node.textContent = seen(text);
      return node;
    }));
  };

  // Boxes whose field changed since the last frame, each with its field: one frame draws them all, so that a field typed into
  // right after another takes nothing from it.
  const waiting = new Map();
  const drawAll = () => {
    for (const [box, field] of waiting) {
      box.hidden = field.value === box.dataset.before;
      if (box.dataset.diff && !box.hidden) draw(box, field.value);
    }
    waiting.clear();
  };
  document.addEventListener("input", (event) => {
    const id = event.target.id && CSS.escape(event.target.id);
    const box = id && document.querySelector(`[data-diff="${id}"], [data-was="${id}"]`);
    if (!box) return;
    if (!waiting.size) requestAnimationFrame(drawAll);
    waiting.set(box, event.target);
  });
})();
