// Keys choose; they do not sign. A single key moves the focus, opens a row or selects a verdict; only Ctrl+Enter, or Enter on the
// focused button, signs what was chosen. Declared where they act as data-key; switched off in the dialog on "?".
(() => {
  const store = (value) => {
    try { return value === undefined ? localStorage.getItem("keys") : localStorage.setItem("keys", value); } catch { return null; }
  };
  const off = () => store() === "off";

  const move = (step) => {
    const rows = [...document.querySelectorAll("[data-row]")];
    if (!rows.length) return;
    const here = rows.findIndex((row) => row.closest(".row").contains(document.activeElement));
    const next = rows[Math.max(0, Math.min(rows.length - 1, here + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const choose = (control) => {
    control.focus();
    if (control.type === "radio" && !control.checked) {
      control.checked = true;
      control.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (control.matches("[data-click], [data-open]")) {
      control.click();
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) {
      const form = event.target.closest("form[data-decision]") || document.querySelector("form[data-decision]");
      const button = form && form.querySelector("button.sign:not(:disabled)");
      if (button && !button.closest("fieldset:disabled") && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        form.requestSubmit(button);
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || off()) return;
    if (event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]")) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "j" || event.key === "k") { event.preventDefault(); move(event.key === "j" ? 1 : -1); return; }
    const row = document.activeElement.closest(".row");
    if (event.key === "o" && row) { event.preventDefault(); row.querySelector("[data-row]").click(); return; }
    const own = event.key === "c" && row && row.querySelector("button[value=claim]");
    const control = own || document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!control || control.disabled || control.closest("fieldset:disabled")) return;
    event.preventDefault();
    choose(control);
  });

  const button = document.querySelector(".keys-button");
  if (button) button.hidden = false;
  const keysSwitch = document.getElementById("keys-switch");
  if (keysSwitch) {
    keysSwitch.checked = !off();
    keysSwitch.addEventListener("change", () => store(keysSwitch.checked ? "on" : "off"));
  }
})();
