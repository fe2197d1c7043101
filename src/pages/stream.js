// A sale's stream. All tabs of a browser share one: over HTTP/1.1 a browser has six connections to a
// shop, and each stream takes one for as long as it lasts. Whoever holds the lock listens, and
// passes on what it hears. A stream that is silent is not believed: whoever follows it asks
// `alive()`, and looks by itself while that says no.
const livetillStream = (url, hear, lost) => {
  "use strict";
  // The server gives a sign of life every two seconds. When two are missing, something is wrong.
  const SILENT_AFTER = 4500, AGAIN_AFTER = 15000, STREAMS_MAX = 3;
  const name = `livetill ${url}`, closed = new AbortController();
  // Between the two, nothing has been heard yet, and nothing is missing yet.
  const since = performance.now();
  let heard = 0, opened = 0, source = null;
  const channel = "BroadcastChannel" in window ? new BroadcastChannel(name) : null;
  const take = (what) => {
    heard = what === "lost" ? -Infinity : performance.now();
    if (what === "lost") lost();
    else if (what !== "alive") hear(what);
  };
  const pass = (what) => {
    take(what);
    channel?.postMessage(what);
  };
  if (channel) channel.onmessage = (e) => take(e.data);
  const alive = () => performance.now() - (heard || since) < SILENT_AFTER;

  const stop = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    opened = performance.now();
    source = new EventSource(url);
    source.addEventListener("view", (e) => pass(JSON.parse(e.data)));
    source.addEventListener("alive", () => pass("alive"));
    source.addEventListener("error", () => pass("lost"));
  };
  // Listens until it is closed; what is silent is given up, and tried again after a while.
  const listen = () => new Promise((done) => {
    open();
    const watch = setInterval(() => {
      const age = performance.now() - opened;
      if (!alive() && age > SILENT_AFTER) stop();
      if (!source && age > AGAIN_AFTER) open();
    }, 1000);
    closed.signal.addEventListener("abort", () => {
      clearInterval(watch);
      stop();
      done();
    });
  });
  // Tabs with different sales share a few places, so that some connections are left to look by.
  const places = async () => {
    for (let n = 0; n < STREAMS_MAX && !closed.signal.aborted; n++) {
      const place = `livetill place ${n}`;
      const had = await navigator.locks.request(place, { ifAvailable: true }, (lock) => lock && listen().then(() => true));
      if (had) return;
    }
    await new Promise((done) => {
      const again = setTimeout(done, AGAIN_AFTER);
      closed.signal.addEventListener("abort", () => { clearTimeout(again); done(); });
    });
    if (!closed.signal.aborted) await places();
  };
  // Without locks nobody knows of the other tabs: then each looks by itself.
  const lock = navigator.locks?.request(name, { signal: closed.signal }, places);
  lock?.catch(() => { /* closed while it waited */ });
  return {
    alive: () => Boolean(lock) && alive(),
    close: () => {
      closed.abort();
      channel?.close();
    },
  };
};

// Fetches a page, and does not wait for ever: a connection that swallows everything is given up, and
// the next try has a new one.
const livetillLook = (() => {
  "use strict";
  const PATIENCE = [4000, 4000, 8000, 15000];
  let failed = 0;
  return async (url) => {
    const signal = AbortSignal.timeout(PATIENCE[Math.min(failed, PATIENCE.length - 1)]);
    try {
      const answer = await fetch(url, { headers: { accept: "text/html" }, signal });
      const got = Date.now();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.status >= 500) throw new Error("away");
      failed = 0;
      return { ok: answer.ok, got, title: page.title, main: page.querySelector("main") };
    } catch (error) {
      failed++;
      throw error;
    }
  };
})();
