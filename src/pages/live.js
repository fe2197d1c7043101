// Keeps a page true to the server: stock and time as they change, the rest by fetching the page
// anew. The clock is the server's, and it never declares the end by itself.
(() => {
  "use strict";
  const main = () => document.querySelector("main");
  let skew = Number(main().dataset.now || Date.now()) - Date.now();
  const words = (ms) => {
    const secs = Math.max(0, Math.ceil(ms / 1000));
    const m = Math.floor(secs / 60), s = secs % 60;
    return m >= 60 ? `${Math.floor(m / 60)} h ${m % 60} min` : m > 0 ? `${m}:${String(s).padStart(2, "0")} min` : `${s} s`;
  };
  const tick = () => {
    for (const el of document.querySelectorAll("[data-until]")) {
      el.textContent = words(Number(el.dataset.until) - Date.now() - skew);
    }
  };
  // What the choices come to. It only shows: the server counts for itself.
  const count = () => {
    const form = main().querySelector("form[data-price]"), total = form && form.querySelector("[data-total]");
    if (!total) return;
    const sum = (name) => [...form.querySelectorAll(`[data-${name}]:checked`)].reduce((n, el) => n + Number(el.dataset[name]), 0);
    const units = Number(form.elements.units?.value || 1), digits = Number(form.dataset.decimals);
    const minor = units * (Number(form.dataset.price) + sum("each")) + sum("once");
    const text = (minor / 10 ** digits).toFixed(digits).replace(/\.0+$/, "");
    total.textContent = form.dataset.zero.replace("0", text);
    total.parentElement.hidden = false;
  };
  const chosen = () => [...main().querySelectorAll("input,option")].some((el) =>
    el.matches("option") ? el.selected !== el.defaultSelected && el.index > 0 : el.checked !== el.defaultChecked || el.value !== el.defaultValue);
  let busy = false;
  const refresh = async () => {
    if (busy) return;
    busy = true;
    try {
      const page = await fetch(location.href, { headers: { accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("main");
      if (fresh && fresh.innerHTML !== main().innerHTML) {
        const typing = main().contains(document.activeElement) && document.activeElement.matches("input,textarea,select");
        if (!(typing || chosen()) || fresh.dataset.state !== main().dataset.state) main().replaceWith(fresh);
      }
      if (fresh) skew = Number(fresh.dataset.now || Date.now() + skew) - Date.now();
    } catch { /* offline for a moment: the next event or poll tries again */ }
    busy = false;
    tick();
    count();
  };
  const show = (view) => {
    const now = main();
    if (now.dataset.page !== "sale" || now.dataset.state !== view.state) return refresh();
    for (const el of now.querySelectorAll("[data-field]")) el.textContent = view[el.dataset.field];
    const meter = now.querySelector("meter");
    if (meter) { meter.max = view.stock; meter.value = view.left; }
    const until = now.querySelector(".stock [data-until]");
    if (until && view.ends_at) until.dataset.until = Date.parse(view.ends_at);
    tick();
  };
  if (main().dataset.events && "EventSource" in window) {
    new EventSource(main().dataset.events).addEventListener("view", (e) => show(JSON.parse(e.data)));
  }
  document.addEventListener("input", count);
  setInterval(tick, 500);
  setInterval(() => { if (main().dataset.poll && !document.hidden) refresh(); }, 3000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  tick();
  count();
})();
