// The little that htmx and HTML do not do by themselves: dialogs, what to say when a request failed, selecting a shown token.
(() => {
  const say = (text) => {
    const line = document.createElement("p");
    line.className = "flash error";
    line.textContent = text;
    document.getElementById("flash").replaceChildren(line);
  };

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) document.getElementById(opener.dataset.open).showModal();
    const field = event.target.closest("[data-select]");
    if (field) field.select();
  });

  // A background look that fails is no news; an act that fails is: nobody may believe that it was signed.
  const failed = (event) => {
    if (event.detail.elt.closest("#arrivals")) return;
    const status = event.detail.xhr && event.detail.xhr.status;
    if (status === 403) say("That was refused. Nothing was done. Load the page again.");
    else if (status === 404) say("This is not yours to see any more. Nothing was done.");
    else if (status) say(`Something broke on our side (${status}). Nothing was signed unless the page says so: load it again.`);
    else say("The server could not be reached. Nothing was signed unless the page says so: load it again.");
  };
  document.addEventListener("htmx:responseError", failed);
  document.addEventListener("htmx:sendError", failed);

  // What replaced the focused control says where the eye should go next.
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = event.detail.elt.querySelector && event.detail.elt.querySelector("[autofocus]");
    if (target) target.focus();
  });
})();
