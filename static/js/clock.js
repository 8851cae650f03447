// Redraws the time left, and the server's clock. The words are those of reviews/templatetags/room.py, so that without this script
// the page says the same as it did when it was drawn. The server's time is what counts: a wrong clock on the desk moves nothing.
(() => {
  const drawn = document.getElementById("live-clock");
  const ahead = drawn ? Date.parse(drawn.dateTime) - Date.now() : 0;

  const said = (seconds) => {
    const minutes = Math.floor(Math.abs(seconds) / 60);
    const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), minutes % 60];
    const length = days ? `${days} d ${hours} h` : hours ? `${hours} h ${rest} min` : `${rest} min`;
    return `${length} ${seconds < 0 ? "late" : "left"}`;
  };

  const redraw = () => {
    const now = Date.now() + ahead;
    const clock = document.getElementById("live-clock");
    if (clock) clock.textContent = `${new Date(now).toISOString().slice(11, 16)} UTC`;
    for (const time of document.querySelectorAll("time[data-left]")) {
      const seconds = (Date.parse(time.dateTime) - now) / 1000;
      const text = said(seconds);
      if (time.textContent !== text) time.textContent = text;
      time.classList.toggle("late", seconds < 0);
      time.classList.toggle("soon", seconds >= 0 && seconds < 1800);
    }
  };

  document.addEventListener("htmx:afterSwap", redraw);
  setInterval(redraw, 10_000);
})();
