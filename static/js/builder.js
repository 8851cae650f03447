/* The condition of a rule while it is typed: the server reads it, says where it is wrong, and draws rows and names anew. */
(() => {
  const form = document.getElementById("routingrule_form");
  const url = document.currentScript.dataset.url;
  if (!form || !document.getElementById("said")) return;
  let waiting = 0;
  let last = null;
  let field = null; // where a name goes when it is clicked

  const reveal = () => form.querySelectorAll("button[data-insert]").forEach((button) => { button.hidden = false; });

  const ask = async (act) => {
    last?.abort();
    last = new AbortController();
    const data = new FormData(form);
    if (act) data.set("_builder", act);
    const answer = await fetch(url, { method: "POST", body: data, signal: last.signal, headers: { "X-Requested-With": "fetch" } });
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  const put = (page, id) => {
    const fresh = page?.getElementById(id);
    if (fresh) document.getElementById(id).replaceWith(document.importNode(fresh, true));
    return Boolean(fresh);
  };

  const quietly = (error) => { if (error.name !== "AbortError") document.getElementById("place").textContent = "This could not be checked just now. Saving checks it."; };

  const check = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => ask("").then((page) => put(page, "place")).catch(quietly), 300);
  };

  const focusAfter = (act) => {
    const rows = form.querySelectorAll("[data-field]");
    const goal = act === "names" ? form.querySelector("#b-incident")
      : act === "text" ? form.querySelector("#said textarea")
      : act === "add" || act.startsWith("drop") ? rows[rows.length - 1] : form.querySelector("#said select, #said textarea");
    (goal || form.querySelector("#said button")).focus();
  };

  const act = async (name) => {
    clearTimeout(waiting);
    const page = await ask(name);
    if (!put(page, name === "names" ? "names" : "said")) return;
    reveal();
    focusAfter(name);
  };

  form.addEventListener("input", (event) => {
    if (event.target.closest("#said") || event.target.name === "floor") check();
  });
  form.addEventListener("focusin", (event) => {
    if (event.target.matches("#said textarea, [data-field]")) field = event.target;
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.name === "_builder") {
      event.preventDefault();
      act(button.value).catch(quietly);
    } else if (button?.dataset.insert) {
      const into = field?.isConnected ? field : form.querySelector("#said textarea") || [...form.querySelectorAll("[data-field]")].pop();
      if (!into) return;
      if (into.matches("textarea")) into.setRangeText(button.dataset.insert, into.selectionStart, into.selectionEnd, "end");
      else into.value = button.dataset.insert;
      into.focus();
      check();
    }
  });
  reveal();
})();
