// Hears within two seconds what came and what changed, and lets those parts of the page look for themselves: the elements with
// data-live="<proposal>" get the event "changed", #arrivals gets "arrived"; how the runs stand that have data-run is told to
// static/js/run.js as the event "runs". Nothing here moves or replaces anything. One stream, while the page can be seen: a browser has few connections to a server, and tabs in the background must not use them up. They,
// and a page without a stream, look every twenty seconds as before.
(() => {
  const url = document.currentScript.dataset.url;
  const LONG_HIDDEN = 5_000;
  const AGAIN = 60_000;
  let stream = null;
  let seen = null; // the last audit entry this page knows of
  let closing;
  let watched = ""; // the runs this stream tells of

  const parts = () => [...document.querySelectorAll("[data-live]")];
  const look = (element, what) => { if (element && element.isConnected) htmx.trigger(element, what); };
  const arrived = () => look(document.getElementById("arrivals"), "arrived");
  const drawnAfter = () => {
    const known = [...document.querySelectorAll("[data-seen]")].map((element) => Number(element.dataset.seen));
    return known.length ? Math.min(...known) : null;
  };

  const runs = () => [...new Set([...document.querySelectorAll("[data-run]")].map((element) => element.dataset.run))].join(",");

  const told = {
    runs: (data) => document.dispatchEvent(new CustomEvent("runs", { detail: JSON.parse(data) })),
    here: () => {},
    arrived,
    changed: (data) => {
      const named = new Set(JSON.parse(data));
      for (const part of parts()) if (named.has(part.dataset.live)) look(part, "changed");
    },
    everything: () => { for (const part of parts()) look(part, "changed"); arrived(); },
  };

  const close = () => { if (stream) stream.close(); stream = null; };

  const open = () => {
    if (stream || document.hidden) return;
    seen = seen ?? drawnAfter();
    watched = runs();
    const query = new URLSearchParams({ ...(seen !== null && { since: seen }), ...(watched && { runs: watched }) }).toString();
    stream = new EventSource(query ? `${url}?${query}` : url);
    for (const [name, act] of Object.entries(told)) {
      stream.addEventListener(name, (event) => {
        seen = Number(event.lastEventId) || seen;
        act(event.data);
      });
    }
    stream.onerror = () => {
      if (!stream || stream.readyState !== EventSource.CLOSED) return; // the browser comes again by itself
      close();
      setTimeout(open, AGAIN);
    };
  };

  document.addEventListener("visibilitychange", () => {
    clearTimeout(closing);
    if (document.hidden) closing = setTimeout(close, LONG_HIDDEN);
    else open();
  });
  document.addEventListener("htmx:afterSettle", () => { if (stream && watched !== runs()) { close(); open(); } });
  // A page kept for Back must not keep its stream; brought back, it catches up from where it was.
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
})();
