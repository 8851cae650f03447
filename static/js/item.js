// The page of one proposal: copy what is signed, open the raw view, and open what is folded around the place a link leads to.
(() => {
  const ready = () => {
    if (navigator.clipboard) for (const button of document.querySelectorAll("button.copy[hidden]")) button.hidden = false;
  };

  const unfold = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const place = id && document.getElementById(id);
    if (!place) return;
    let folded = false;
    for (let one = place.closest("details:not([open])"); one; one = one.parentElement.closest("details:not([open])")) {
      one.open = true;
      folded = true;
    }
    const inside = place.querySelector(":scope > details:not([open])");
    if (inside) inside.open = folded = true;
    if (folded) place.scrollIntoView({ block: "center" });
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    button.addEventListener("blur", () => { button.textContent = before; }, { once: true });
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "raw-body") return; // none when Back drew the page again
    const dialog = document.getElementById("raw-view");
    if (!dialog.open) dialog.showModal();
  });
  document.addEventListener("htmx:afterSettle", ready);
  addEventListener("hashchange", unfold);
  ready();
  unfold();
})();
