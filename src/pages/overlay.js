// Keeps the overlay true to the server and hides it a while after the end. A new sale, a new state:
// the page is fetched anew; only the numbers move by themselves.
(() => {
  "use strict";
  const HIDE_AFTER = 15000;
  const main = () => document.querySelector("main");
  let skew = 0, source = null, followed = "", hide = 0;
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
  const show = (view) => {
    if (view.state !== main().dataset.state) return refresh();
    for (const el of main().querySelectorAll("[data-field]")) set(el, view[el.dataset.field]);
    const until = main().querySelector("[data-until]");
    if (until && view.ends_at) until.dataset.until = Date.parse(view.ends_at);
    tick();
  };
  const follow = () => {
    const now = main();
    skew = Number(now.dataset.now || Date.now()) - Date.now();
    clearTimeout(hide);
    if (now.classList.contains("over")) hide = setTimeout(() => main().classList.add("gone"), followed ? HIDE_AFTER : 0);
    const sale = now.dataset.sale || "";
    if (sale === followed && source) return tick();
    if (source) source.close();
    source = null;
    followed = sale;
    if (sale && !now.classList.contains("over")) {
      source = new EventSource(`/sales/${sale}/events`);
      source.addEventListener("view", (e) => show(JSON.parse(e.data)));
    }
    tick();
  };
  const refresh = async () => {
    try {
      const page = await fetch(location.href);
      const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("main");
      const changed = fresh && (fresh.dataset.sale !== main().dataset.sale || fresh.dataset.state !== main().dataset.state);
      if (changed) { main().replaceWith(fresh); follow(); }
    } catch { /* the next look tries again */ }
  };
  setInterval(tick, 250);
  setInterval(refresh, 3000);
  follow();
})();
