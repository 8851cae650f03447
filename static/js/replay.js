// A running replay: fetch the part of the page that grows every two seconds, until it has ended.
// Without this the page reloads itself; with it what is being read stays where it is.
const part = document.getElementById("replay-part");
const said = document.getElementById("replay-said");

async function look() {
  let answer;
  try {
    answer = await fetch(part.dataset.url + window.location.search, { credentials: "same-origin", redirect: "error" });
  } catch {
    return wait(); // the server restarts, or the network is gone for a moment
  }
  if (!answer.ok) return answer.status >= 500 ? wait() : undefined;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".part");
  if (!fresh) return;
  const focused = document.activeElement;
  const was = part.contains(focused) ? `${focused.tagName}${focused.getAttribute("href") || ""}` : "";
  part.replaceChildren(fresh);
  const ended = !["waiting", "running"].includes(fresh.dataset.state);
  if (was) {
    const again = [...part.querySelectorAll("a, button")].find((one) => `${one.tagName}${one.getAttribute("href") || ""}` === was);
    (again || document.getElementById("replay-title")).focus();
  }
  if (!ended) return wait();
  said.textContent = `${part.dataset.what || "The replay"} has ended: ${fresh.dataset.state}.`;
}

function wait() {
  setTimeout(look, document.hidden ? 10000 : 2000);
}

if (part && part.dataset.url) wait();
