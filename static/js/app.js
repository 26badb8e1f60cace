// What every page needs beyond htmx: where the focus goes after a swap, what is said to a screen reader,
// times that stay true, and a clear word when the server cannot be reached. Without this file every page still works.
(() => {
  "use strict";

  const announcer = () => document.getElementById("announcer");

  function say(text) {
    const region = announcer();
    if (!region) return;
    region.textContent = "";
    setTimeout(() => { region.textContent = text; }, 30);
  }

  // Toasts: built from text nodes only, so nothing that arrives can become markup.
  function toast(text, kind) {
    const region = document.getElementById("toasts");
    if (!region) return;
    const box = document.createElement("div");
    box.className = "toast" + (kind === "error" ? " toast--error" : "");
    const words = document.createElement("p");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "toast__close";
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "×";
    close.addEventListener("click", () => box.remove());
    box.append(words, close);
    region.append(box);
    if (kind !== "error") setTimeout(() => box.remove(), 8000);
  }

  // Relative times, in the words the server uses (approvals/templatetags/ui.py).
  const STEPS = [[31536000, "y"], [2592000, "mo"], [86400, "d"], [3600, "h"], [60, "min"]];

  function length(seconds) {
    let rest = Math.abs(seconds);
    const parts = [];
    for (const [size, unit] of STEPS) {
      const amount = Math.floor(rest / size);
      rest -= amount * size;
      if (amount) parts.push(`${amount} ${unit}`);
      if (parts.length === 2 || (parts.length && ["y", "mo", "d"].includes(unit))) break;
    }
    return parts.join(" ") || "less than a minute";
  }

  function relative(seconds, style) {
    const words = length(seconds);
    if (style === "plain") return words;
    if (style === "due") return seconds >= 0 ? `${words} left` : `${words} overdue`;
    return seconds > 0 ? `in ${words}` : `${words} ago`;
  }

  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

  function refreshTimes(root) {
    const now = Date.now();
    for (const element of (root || document).querySelectorAll("time[data-relative]")) {
      const moment = Date.parse(element.dateTime);
      if (Number.isNaN(moment)) continue;
      const words = relative(Math.round((moment - now) / 1000), element.dataset.relative);
      if (element.textContent !== words) element.textContent = words;
      if (!element.dataset.local) {
        element.title = exact.format(moment);
        element.dataset.local = "1";
      }
    }
  }
  setInterval(refreshTimes, 20000);

  // A lease is only renewed while the reviewer is at it: the page in view and used in the last three minutes.
  let used = Date.now();
  for (const kind of ["pointermove", "keydown", "scroll", "touchstart"]) {
    addEventListener(kind, () => { used = Date.now(); }, { passive: true, capture: true });
  }
  document.addEventListener("htmx:confirm", (event) => {
    const element = event.detail.elt;
    if (!element.hasAttribute("data-only-in-use")) return;
    if (document.hidden || Date.now() - used > 180000) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) used = Date.now(); });
  document.addEventListener("htmx:confirm", (event) => {
    if (event.detail.elt.hasAttribute("data-only-visible") && document.hidden) event.preventDefault();
  });

  // The server shows times in the reader's zone; without this cookie it knows only what he has chosen himself.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`tz=${encodeURIComponent(zone)}`)) {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `tz=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax${secure}`;
  }

  // A response that is not a page of ours (a proxy's error, a cut connection) must not wipe the page away.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr, isError, requestConfig } = event.detail;
    if (isError && requestConfig.elt.hasAttribute("data-quiet")) {
      // What the page did by itself and was refused is no reason to interrupt anybody: the page looks again instead.
      event.detail.shouldSwap = false;
      if (requestConfig.elt.id === "lease") document.body.dispatchEvent(new CustomEvent("countersign:news"));
      return;
    }
    if (xhr.status >= 400 && xhr.responseText.includes('id="refusal"')) {
      // A refused decision is told above the page as it stands, so that nothing typed is lost.
      event.detail.target = document.getElementById("messages");
      event.detail.swapOverride = "innerHTML show:window:top";
      event.detail.selectOverride = "#refusal";
      return;
    }
    if (target && target.id === "main" && !xhr.responseText.includes('id="main"')) {
      event.detail.shouldSwap = false;
      toast(isError ? `The server answered with an error (${xhr.status}). Nothing was decided; try again.`
        : "The server's answer could not be shown. Reload the page.", "error");
    }
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (["data-only-visible", "data-only-in-use", "data-quiet"].some((name) => event.detail.elt.hasAttribute(name))) return;
    toast("Countersign cannot be reached. What you sent may not have arrived; reload before you decide again.", "error");
  });

  // The focus moves in the swap itself, never later: what the reviewer has begun to write in keeps it.
  document.addEventListener("htmx:afterSwap", (event) => {
    refreshTimes();
    const main = document.getElementById("main");
    const refusal = document.getElementById("refusal");
    if (refusal && event.detail.target.id === "messages") {
      refusal.focus();
      return;
    }
    if (!main || event.detail.target.id !== "main") return;
    isSettling = true;
    rest();
    const wanted = main.querySelector("[data-focus]") || main.querySelector("h1") || main;
    wanted.focus({ preventScroll: wanted.tagName === "H1" || wanted === main });
    const word = main.querySelector("#messages .notice") || main.querySelector(".undo__words");
    if (word) say(word.textContent.trim());
  });

  // Nobody can mean a page that was not painted when he pressed the key, nor the one that he has just left: from the
  // moment the way leads on until what comes is painted, keys rest (keys.js).
  let shownAt = 0;
  let turn = 0;
  let isSettling = false;
  const underWay = new Set();

  function rest() {
    turn += 1;
    shownAt = Infinity;
    document.documentElement.classList.add("is-arriving");
  }

  function arriving() {
    rest();
    const mine = turn;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (mine !== turn || underWay.size || isSettling) return;
      shownAt = performance.now();
      document.documentElement.classList.remove("is-arriving");
    }));
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id !== "main") return;
    isSettling = false;
    arriving();
  });
  document.addEventListener("htmx:beforeSend", (event) => {
    const { target, xhr } = event.detail;
    if (target.id !== "main") return;
    underWay.add(xhr);
    rest();
    xhr.addEventListener("loadend", () => {
      underWay.delete(xhr);
      arriving();
    });
  });

  // Tells of every way to another document, with its address and whether it is a reload.
  function whenLeaving(does) {
    if (window.navigation) {
      window.navigation.addEventListener("navigate", (event) => {
        const { destination, downloadRequest, hashChange, navigationType } = event;
        if (!hashChange && !destination.sameDocument && downloadRequest == null) does(destination.url, navigationType === "reload");
      });
      return;
    }
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[href]");
      const isElsewhere = event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || link?.target || link?.hasAttribute("download");
      if (link && !isElsewhere && link.href.split("#")[0] !== location.href.split("#")[0]) does(link.href, false);
    });
    document.addEventListener("submit", (event) => { if (!event.defaultPrevented) does(event.target.action, false); });
  }
  whenLeaving(() => {
    rest();
    setTimeout(arriving, 10000); // a download or a broken-off way leaves the page standing
  });
  addEventListener("pageshow", (event) => { if (event.persisted) arriving(); });

  // Fragments that ask to be announced (news about a list, a changed proposal).
  document.addEventListener("htmx:afterSwap", (event) => {
    const told = document.querySelector(`#${CSS.escape(event.detail.target.id || "none")} [data-announce]`);
    if (told) say(told.textContent.trim());
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens)?.showModal();
    for (const menu of document.querySelectorAll("details.person[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  refreshTimes();
  arriving();
  window.countersign = { say, toast, whenLeaving, wasShown: (event) => event.timeStamp > shownAt };
})();
