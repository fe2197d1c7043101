// Keeps a page true to the server: stock and time as they change, the rest by fetching the page
// anew. The clock is the server's, and it never declares the end by itself.
(() => {
  "use strict";
  const LOOK_EVERY = 3500, SPREAD = 250, WAKE_AFTER = 15000;
  const main = () => document.querySelector("main");
  const data = () => main().dataset;
  let skew = 0, stream = null, looked = performance.now(), away = false, busy = false, again = false;

  const sync = (server, got) => { if (server) skew = Number(server) - got; };
  const words = (ms) => {
    const secs = Math.max(0, Math.ceil(ms / 1000));
    const m = Math.floor(secs / 60), s = secs % 60;
    return m >= 60 ? `${Math.floor(m / 60)} h ${m % 60} min` : m > 0 ? `${m}:${String(s).padStart(2, "0")} min` : `${s} s`;
  };
  const tick = (within) => {
    if (away) return;
    for (const el of within.querySelectorAll("[data-until]")) {
      el.textContent = words(Number(el.dataset.until) - Date.now() - skew);
    }
  };

  // A button that was pressed rests: what it leads to may take a while. It wakes when the page is
  // shown again, or when nothing came of it.
  let pressed = 0;
  const rest = () => {
    for (const button of document.querySelectorAll("form button")) button.disabled = pressed !== 0 || away;
  };
  const wake = () => {
    clearTimeout(pressed);
    pressed = 0;
    rest();
  };
  addEventListener("submit", (e) => {
    if (pressed || away) return e.preventDefault();
    pressed = setTimeout(wake, WAKE_AFTER);
    setTimeout(rest);
  });

  // It is the same form to whoever looks at it: a browser without cookies is known by its key.
  const carryKey = (from, to) => {
    const [old, key] = [from, to].map((page) => page.querySelector("input[name=key]"));
    if (old && key) key.value = old.value;
  };
  // What was typed and chosen stays, wherever the new page still asks for it.
  const carry = (from, to) => {
    for (const old of from.querySelectorAll("input, select, textarea")) {
      for (const el of to.querySelectorAll(`[name="${CSS.escape(old.name)}"]`)) {
        if (old.type === "radio" || old.type === "checkbox") {
          if (el.value === old.value) el.checked = old.checked && !el.disabled;
        } else if (old.type !== "hidden") {
          const fresh = el.value;
          el.value = old.value;
          if (el.matches("select") && el.selectedIndex < 0) el.value = fresh;
        }
      }
    }
    // What is to be put right still is.
    const why = from.querySelector("#why"), wrong = from.querySelector("[aria-describedby=why]");
    const same = why && wrong && !to.querySelector("#why") && to.querySelector(`[name="${CSS.escape(wrong.name)}"]`);
    if (same) {
      same.setAttribute("aria-invalid", "true");
      same.setAttribute("aria-describedby", "why");
      same.closest("label, fieldset").before(why.cloneNode(true));
    }
    const open = from.querySelector("details[open]");
    if (open && to.querySelector("details")) to.querySelector("details").open = true;
  };
  const alike = (el, to) => [...to.querySelectorAll(el.tagName)].find((one) =>
    el.name ? one.name === el.name && (!/radio|checkbox/.test(el.type) || one.value === el.value)
      : one.textContent === el.textContent);
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
  const swap = (fresh, title) => {
    const old = main(), at = document.activeElement;
    if (fresh.dataset.page !== old.dataset.page || fresh.dataset.sale !== old.dataset.sale) return location.reload();
    tick(fresh);
    tick(old);
    carryKey(old, fresh);
    const changed = fresh.dataset.state !== old.dataset.state;
    old.dataset.rev = fresh.dataset.rev;
    if (!changed && fresh.innerHTML === old.innerHTML) return;
    // Nobody's sentence is cut short for a number.
    if (!changed && old.contains(at) && at.matches("input:not([type=radio], [type=checkbox]), textarea")) return;
    carry(old, fresh);
    const focus = old.contains(at) ? alike(at, fresh) || fresh : null;
    old.replaceWith(fresh);
    document.title = title;
    count();
    rest();
    if (focus) focus.focus({ preventScroll: true });
    // Only what is news is said aloud; stock and time are not.
    if (fresh.dataset.news !== old.dataset.news) document.getElementById("news").textContent = fresh.dataset.news;
    if (!fresh.dataset.events) unfollow();
  };
  // While the server is away, what stands here may be wrong: it says so, and nothing can be pressed.
  const setAway = (is) => {
    main().classList.toggle("away", is);
    if (away !== is) document.getElementById("news").textContent = is ? "Reconnecting…" : "Connected again.";
    away = is;
    rest();
  };
  const refresh = async () => {
    again = busy;
    if (busy) return;
    busy = true;
    looked = performance.now();
    try {
      const page = await livetillLook(data().url || location.href);
      setAway(false);
      if (page.ok && page.main) {
        sync(page.main.dataset.now, page.got);
        swap(page.main, page.title);
      }
    } catch { setAway(true); }
    busy = false;
    if (again) refresh();
  };
  // Whoever came by the link in chat is led on to the next sale.
  const next = async () => {
    looked = performance.now();
    try {
      const { ok, main: fresh } = await livetillLook("/live");
      if (ok && fresh && fresh.dataset.events && fresh.dataset.sale !== data().sale) location.reload();
    } catch { /* the next look tries again */ }
  };

  const show = (view) => {
    const now = main();
    if (now.dataset.page !== "sale") return view.revision > Number(now.dataset.rev) ? refresh() : undefined;
    if (now.dataset.state !== view.state) return setTimeout(refresh, Math.random() * SPREAD);
    for (const el of now.querySelectorAll("[data-field]")) el.textContent = view[el.dataset.field];
    for (const el of now.querySelectorAll("[data-last]")) el.hidden = view.left !== 1;
    const meter = now.querySelector("meter");
    if (meter) { meter.max = view.stock; meter.value = view.left; }
    const until = now.querySelector(".figures [data-until]");
    if (until && view.ends_at) until.dataset.until = Date.parse(view.ends_at);
    tick(now);
  };
  const unfollow = () => {
    stream?.close();
    stream = null;
  };
  const follow = () => {
    if (!stream && data().events) stream = livetillStream(data().events, show, refresh);
  };
  const look = () => {
    if (document.hidden) return;
    follow();
    const { page, poll, events } = data(), since = performance.now() - looked;
    // A stream may be held up on its way: what is waited for is looked after all the same.
    const trusted = events && !away && stream.alive();
    const every = !trusted ? LOOK_EVERY : poll !== undefined ? 4 * LOOK_EVERY : Infinity;
    if (since < every) return;
    if (events || poll !== undefined || away) refresh();
    else if (page === "sale" && location.pathname === "/live") next();
  };

  // The answer to a form: from here on it is the sale's own page.
  if (data().url && /\/(holds|line)$/.test(location.pathname)) history.replaceState(null, "", data().url);
  const came = performance.getEntriesByType("navigation")[0];
  // What the browser kept tells an old time.
  if (came?.type !== "back_forward") sync(data().now, came ? performance.timeOrigin + came.responseStart : Date.now());
  setInterval(() => tick(main()), 500);
  setInterval(look, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      // A buyer in line wants to hear of it in another tab, too.
      if (data().page === "sale") unfollow();
    } else if (data().page) {
      follow();
      refresh();
    }
  });
  addEventListener("pagehide", unfollow);
  addEventListener("pageshow", (e) => {
    wake();
    follow();
    // As the browser kept it, with its form: what became of it meanwhile is asked for.
    if ((e.persisted || came?.type === "back_forward") && data().page) refresh();
  });
  document.addEventListener("input", count);
  tick(main());
  count();
  follow();
})();
