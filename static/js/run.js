// Agents' runs while they are watched. The stream says how each run on the page stands: figures are put in their places at once;
// what has to be drawn again is asked for, but never under somebody's hand: not while they write, or read where it would move.
(() => {
  const MOST = 300; // steps on the page; older ones are a page further down
  const within = (root, name) => [...root.querySelectorAll(name)].concat(root.matches(name) ? [root] : []);
  const newer = () => document.getElementById("newer");
  const look = (element, what) => { if (element && element.isConnected) htmx.trigger(element, what); };
  const busy = (part) => part.contains(document.activeElement) || part.querySelector(":checked[name=run]")
    || [...part.querySelectorAll("textarea, input[type=text]")].some((field) => field.value.trim());
  const reading = () => document.querySelector("#steps > .step:is(:hover, :focus-within)");

  const put = (root, run) => {
    for (const [name, text] of Object.entries(run.texts)) {
      for (const place of within(root, `[data-fact="${name}"]`)) if (place.textContent !== text) place.textContent = text;
    }
    for (const [name, share] of Object.entries(run.bars)) {
      for (const bar of within(root, `[data-bar="${name}"]`)) bar.value = share;
    }
    if (run.at) for (const time of within(root, "[data-at] time")) time.dateTime = run.at;
  };

  const told = (run) => {
    for (const root of document.querySelectorAll(`[data-run="${CSS.escape(run.id)}"]`)) {
      put(root, run);
      if ("steps" in root.dataset && Number(root.dataset.number) !== run.number) {
        root.dataset.number = run.number;
        look(newer(), "look");
      }
      if (root.dataset.stamp === run.stamp) continue;
      const acts = document.getElementById("run-acts");
      if (!("steps" in root.dataset)) { if (busy(root)) continue; look(root, "changed"); }
      else {
        for (const id of ["run-now", "run-more"]) look(document.getElementById(id), "changed");
        if (acts && !busy(acts)) look(acts, "changed");
      }
      root.dataset.stamp = run.stamp;
    }
    redraw();
  };

  const said = (seconds) => {
    const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600), Math.floor(seconds / 60)];
    if (minutes < 1) return `${seconds} s ago`;
    if (hours < 1) return `${minutes} min ${seconds % 60} s ago`;
    return hours < 48 ? `${hours} h ${minutes % 60} min ago` : `${days} d ${hours % 24} h ago`;
  };
  const clock = document.getElementById("live-clock");
  const ahead = clock ? Date.parse(clock.dateTime) - Date.now() : 0;
  const redraw = () => {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = said(Math.max(0, Math.floor((Date.now() + ahead - Date.parse(time.dateTime)) / 1000)));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  document.addEventListener("runs", (event) => event.detail.forEach(told));
  // What is new waits behind a button while somebody points at the steps, or has the focus among them.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id !== "newer" || !reading()) return;
    event.preventDefault();
    event.detail.elt.querySelector("[data-look]").hidden = false;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-look]")) { document.activeElement.blur(); look(newer(), "look"); }
  });
  document.addEventListener("htmx:afterSettle", () => {
    const steps = [...document.querySelectorAll("#steps > .step")].slice(MOST);
    for (const step of steps) step.remove();
    const older = document.getElementById("older");
    const last = document.querySelector("#steps > .step:last-of-type");
    if (steps.length && older && last) older.search = older.search.replace(/before=\d+/, `before=${last.dataset.step}`);
    redraw();
  });
  const slider = document.querySelector("[data-submit]");
  if (slider) slider.addEventListener("change", () => slider.form.submit());
  setInterval(redraw, 1_000);
})();
