// Keeps the overlay true to the server and hides it a while after the end. A new sale, a new state:
// the page is fetched anew; only the numbers move by themselves.
(() => {
  "use strict";
  const HIDE_AFTER = 15000;
  const main = () => document.querySelector("main");
  let skew = 0, stream = null, seen = false, hide = 0, busy = false;
  const words = (ms) => {
    const secs = Math.max(0, Math.ceil(ms / 1000)), m = Math.floor(secs / 60);
    return `${m}:${String(secs % 60).padStart(2, "0")}`;
  };
  const tick = () => {
    for (const el of document.querySelectorAll("[data-until]")) {
      el.textContent = words(Number(el.dataset.until) - Date.now() - skew);
    }
  };
  const set = (el, text) => {
    if (el.textContent === String(text)) return;
    el.textContent = text;
    el.classList.remove("bump");
    void el.offsetWidth;
    el.classList.add("bump");
  };
  const numbers = (value, ends) => {
    for (const el of main().querySelectorAll("[data-field]")) set(el, value(el.dataset.field));
    const until = main().querySelector("[data-until]");
    if (until && ends) until.dataset.until = ends;
    tick();
  };
  const show = (view) => {
    if (view.state !== main().dataset.state) return refresh();
    numbers((field) => view[field], Date.parse(view.ends_at));
  };
  const follow = () => {
    const { sale } = main().dataset, over = main().classList.contains("over");
    if (over && !hide) hide = setTimeout(() => main().classList.add("gone"), seen ? HIDE_AFTER : 0);
    if (sale && !over) seen = true;
    if (stream && over) {
      stream.close();
      stream = null;
    }
    if (sale && !over && !stream) stream = livetillStream(`/sales/${sale}/events`, show, refresh);
    tick();
  };
  const refresh = async () => {
    if (busy) return;
    busy = true;
    try {
      const { ok, got, main: fresh } = await livetillLook(location.href);
      main().classList.remove("away");
      // Another sale is another page: its photo may come from somewhere else.
      if (ok && fresh && fresh.dataset.sale !== main().dataset.sale) return location.reload();
      if (ok && fresh) {
        skew = Number(fresh.dataset.now || got) - got;
        const part = (field) => fresh.querySelector(`[data-field="${field}"]`)?.textContent ?? "";
        if (fresh.dataset.state !== main().dataset.state) main().replaceWith(fresh);
        else numbers(part, fresh.querySelector("[data-until]")?.dataset.until);
        follow();
      }
    } catch { main().classList.add("away"); }
    busy = false;
  };
  skew = Number(main().dataset.now || Date.now()) - Date.now();
  setInterval(tick, 250);
  setInterval(refresh, 3000);
  follow();
})();
