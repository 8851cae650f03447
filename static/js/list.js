// The list: the count in the tab's title, which row stands open beside it, and rows opened in a tab of their own.
(() => {
  const count = () => document.getElementById("inbox-count")?.textContent.trim() || "0";

  const title = () => {
    const bare = document.title.replace(/^\(\d+\+?\) /, "");
    const said = count() === "0" ? bare : `(${count()}) ${bare}`;
    if (document.title !== said) document.title = said;
  };

  const mark = () => {
    for (const link of document.querySelectorAll(".side a[data-row]")) {
      const open = link.pathname === location.pathname;
      if (open === link.hasAttribute("aria-current")) continue;
      link.toggleAttribute("aria-current", open);
      if (open) {
        link.setAttribute("aria-current", "true");
        link.closest(".row").scrollIntoView({ block: "nearest" });
      }
    }
  };

  const look = () => { mark(); title(); };

  // The browser's own way to a new tab or window: htmx would open the row here.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[hx-get]");
    if (link && (event.ctrlKey || event.metaKey || event.shiftKey || event.button)) event.stopImmediatePropagation();
  }, true);

  for (const name of ["htmx:afterSettle", "htmx:pushedIntoHistory", "htmx:historyRestore"]) document.addEventListener(name, look);
  look();
})();
