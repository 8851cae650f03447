// Counts down how long a signature can still be taken back. By the server's time, as in clock.js; without this script the page says
// the seconds as they were when it was drawn.
(() => {
  const drawn = document.getElementById("live-clock");
  const ahead = drawn ? Date.parse(drawn.dateTime) - Date.now() : 0;
  const redraw = () => {
    for (const time of document.querySelectorAll("time[data-seconds]")) {
      const left = Math.ceil((Date.parse(time.dateTime) - Date.now() - ahead) / 1000);
      const text = left > 0 ? `${left} s` : "a moment";
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(redraw, 1000);
})();
