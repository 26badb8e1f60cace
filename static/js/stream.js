// News without asking: one stream per visible page says that something it shows has changed, and the page then looks again
// (an element with hx-trigger="countersign:news from:body"). What to watch stands in data-watch attributes, separated by
// blanks: queue:slug, proposal:id, queues. Without this file, and while the server is away, pages find out by their slow
// pulse. Nothing here writes to the page.
(() => {
  "use strict";

  const LEAST = 1000; // milliseconds between two events
  const BACKOFF = [2000, 120000]; // the first pause before trying again, the longest
  const MISSED = 1000; // a page that heard nothing for longer than this looks again as soon as it hears
  const AGAIN = [200, 25]; // how long and how often it waits for what it is just asking, which may have been read too early

  let source = null;
  let address = "";
  let pause = BACKOFF[0];
  let retry = 0;
  let lastTold = 0;
  let pending = null;
  let topics = new Set();
  let deafSince = 0;
  let waits = 0;

  function wanted() {
    const watched = new Set();
    for (const element of document.querySelectorAll("[data-watch]")) {
      for (const topic of element.dataset.watch.split(/\s+/)) if (topic) watched.add(topic);
    }
    if (!document.querySelector("[data-watch]")) return "";
    return "/stream/?" + [...watched].sort().map((topic) => "watch=" + encodeURIComponent(topic)).join("&");
  }

  // A fragment that is being fetched is replaced by what was true before these news, and would not hear of them.
  function tell() {
    if (document.querySelector(".htmx-request[hx-trigger*='countersign:']") && waits < AGAIN[1]) {
      waits += 1;
      pending = setTimeout(tell, AGAIN[0]);
      return;
    }
    waits = 0;
    pending = null;
    lastTold = performance.now();
    const detail = { topics: [...topics] };
    topics = new Set();
    document.body.dispatchEvent(new CustomEvent("countersign:news", { bubbles: true, detail }));
    if (detail.topics.some((topic) => topic === "*" || topic.startsWith("person:"))) {
      document.body.dispatchEvent(new CustomEvent("countersign:told", { bubbles: true, detail })); // the bell
    }
  }

  function heard(words) {
    for (const topic of words.split(" ")) topics.add(topic);
    if (pending === null) pending = setTimeout(tell, Math.max(0, lastTold + LEAST - performance.now()));
  }

  function close() {
    clearTimeout(retry);
    if (source) {
      source.close();
      source = null;
      deafSince = performance.now();
    }
  }

  // Also after a swap: the same stream goes on where the page watches the same things.
  function listen() {
    const next = document.hidden ? "" : wanted();
    if (next === address && source) return;
    close();
    address = next;
    if (!address) return;
    source = new EventSource(address);
    source.addEventListener("open", () => {
      pause = BACKOFF[0];
      if (deafSince && performance.now() - deafSince > MISSED) heard("*");
      deafSince = 0;
    });
    source.addEventListener("news", (event) => heard(event.data));
    source.addEventListener("error", () => {
      close();
      retry = setTimeout(listen, pause * (0.75 + Math.random() / 2));
      pause = Math.min(pause * 2, BACKOFF[1]);
    });
  }

  document.addEventListener("visibilitychange", listen);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "main") listen();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", listen);
  listen();
})();
