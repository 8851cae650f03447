// Keys choose; they do not sign. A single key moves the focus, opens a row or selects a verdict; only Ctrl+Enter, or Enter on the
// focused button, signs what was chosen. Declared where they act as data-key and data-go; off by preference, or in the dialog on "?".
(() => {
  const SOON = 1500; // milliseconds within which a letter after "g" goes somewhere
  const WRITES = "input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]";
  let going = -Infinity;

  const store = (value) => {
    try { return value === undefined ? localStorage.getItem("keys") : localStorage.setItem("keys", value); } catch { return null; }
  };
  const off = () => document.body.dataset.keys === "off" || store() === "off";
  const inDialog = () => document.querySelector("dialog[open]");
  const usable = (one) => one && !one.disabled && !one.closest("fieldset:disabled, [hidden]") && one.getClientRects().length > 0;
  const find = (selector) => [...document.querySelectorAll(selector)].find(usable);
  const rowOf = (one) => one.closest(".row, tr");

  const move = (step) => {
    const rows = [...document.querySelectorAll("[data-row]")].filter(usable);
    if (!rows.length) return;
    const focused = rows.findIndex((row) => rowOf(row).contains(document.activeElement));
    const here = focused >= 0 ? focused : rows.findIndex((row) => row.hasAttribute("aria-current"));
    const next = rows[Math.max(0, Math.min(rows.length - 1, here + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const choose = (control) => {
    control.focus();
    if (control.matches("input:not([type=radio], [type=checkbox])")) control.select();
    else if (control.type === "radio" && !control.checked) {
      control.checked = true;
      control.dispatchEvent(new Event("change", { bubbles: true }));
      control.closest(".option").scrollIntoView({ block: "nearest" });
    } else if (control.matches("[data-click], [data-open]")) control.click();
  };

  // Nobody signs from a dialog, from another form's field, by a key held down, or with the Enter that ends an input method's word.
  const sign = (event) => {
    const own = event.target.closest("form");
    const form = own && own.matches("[data-decision]") ? own : event.target.closest(WRITES) ? null : document.querySelector("form[data-decision]");
    const button = form && form.querySelector("button.sign");
    if (!usable(button) || inDialog()) return;
    event.preventDefault();
    form.requestSubmit(button);
  };

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
    const signs = event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey;
    // Enter in a field or on a choice would press the form's first button: it is no second act, so it does nothing.
    if (event.key === "Enter" && !signs && event.target.matches("form[data-decision] input")) { event.preventDefault(); return; }
    const moves = event.key === "j" || event.key === "k";
    if (event.repeat && !moves) return;
    if (signs) { sign(event); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || off() || inDialog() || event.target.closest(WRITES)) return;
    const row = document.activeElement && document.activeElement.closest(".row");
    const goes = event.timeStamp - going < SOON;
    going = -Infinity;
    let control = null;
    if (goes) control = find(`[data-go="${CSS.escape(event.key)}"]`);
    else if (event.key === "g") going = event.timeStamp;
    else if (moves) move(event.key === "j" ? 1 : -1);
    else if (event.key === "o" && row) control = row.querySelector("[data-row]");
    else control = (event.key === "c" && row && row.querySelector("button[value=claim]")) || find(`[data-key="${CSS.escape(event.key)}"]`);
    if (control || moves) event.preventDefault();
    if (control && (goes || control.matches("[data-row]"))) control.click();
    else if (control) choose(control);
  });

  const button = document.querySelector(".keys-button");
  if (button) button.hidden = false;
  const keysSwitch = document.getElementById("keys-switch");
  if (keysSwitch) {
    keysSwitch.checked = !off();
    keysSwitch.addEventListener("change", () => store(keysSwitch.checked ? "on" : "off"));
  }
})();
