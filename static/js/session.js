// The session of an open page: two minutes before it ends the page says so and any key, or a button, keeps it; when it has
// ended the page says so, too, and what was typed stays. Tells the server what a person did, apart from what the page asks
// by itself. Without this file sessions end all the same, and the next page says why.
(() => {
  "use strict";

  const WARN = 120; // seconds
  const USE = ["click", "submit", "change", "input", "keydown", "keyup", "search"];
  const STATE = "/account/session/";
  const person = document.body.dataset.person;
  if (!person) return;
  let endsAt = Date.now() + Number(document.body.dataset.session) * 1000;
  let timer = 0;
  let state = ""; // "", "warned", "over"
  let isAsking = false;

  const token = () => (document.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=([^;]+)/) || [])[1] || "";

  // A sign-in beside this page makes a new token; the forms of this page then send that one.
  function renew(form) {
    const field = form.elements?.csrfmiddlewaretoken;
    if (field && token()) field.value = token();
  }
  document.addEventListener("submit", (event) => renew(event.target), true);
  document.addEventListener("htmx:configRequest", (event) => {
    const { headers, parameters, triggeringEvent } = event.detail;
    if (token()) {
      headers["X-CSRFToken"] = token();
      if (parameters.csrfmiddlewaretoken) parameters.csrfmiddlewaretoken = token();
    }
    if (USE.includes(triggeringEvent?.type)) headers["X-In-Use"] = "1";
  });
  // What a page asks by itself is asked in vain once nobody is signed in.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (state === "over" && !USE.includes(event.detail.requestConfig.triggeringEvent?.type)) event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr.status === 401 && state !== "over") ask();
  });

  function bar(kind, words, action) {
    document.getElementById("session-bar")?.remove();
    if (!words) return;
    const box = document.createElement("div");
    box.id = "session-bar";
    box.className = `session-bar session-bar--${kind}`;
    box.setAttribute("role", "alert");
    const text = document.createElement("p");
    text.textContent = words;
    box.append(text);
    if (action) box.append(action);
    document.body.append(box);
  }

  function button(words, does) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "button button--primary";
    made.textContent = words;
    made.addEventListener("click", does);
    return made;
  }

  function over(words, link) {
    state = "over";
    clearTimeout(timer);
    const made = document.createElement("a");
    made.className = "button button--primary";
    made.textContent = link;
    made.href = "/account/login/?next=/account/session/again/";
    made.target = "_blank";
    made.rel = "noopener";
    bar("over", words, made);
  }

  function warn(why) {
    if (state === "warned") return;
    state = "warned";
    if (why === "long") {
      bar("warn", "Twelve hours have gone by since you signed in: in two minutes you are signed out. Finish what you are at.",
        button("Understood", () => bar()));
      return;
    }
    bar("warn", "Nothing was done here for a while: in two minutes you are signed out. Press any key to stay.",
      button("Stay signed in", stay));
  }

  function heard(answer) {
    if (answer.person === null) {
      over("You are signed out. What you typed is still here: sign in again in a new window, then go on.", "Sign in again");
      return;
    }
    if (String(answer.person) !== person) {
      over("Somebody else has signed in on this browser. Load this page anew.", "Sign in");
      return;
    }
    endsAt = Date.now() + answer.seconds * 1000;
    if (answer.seconds > WARN) {
      if (state === "over") window.countersign?.toast("You are signed in again. You can go on.");
      state = "";
      bar();
    } else warn(answer.why);
    wait();
  }

  async function ask(method = "GET", address = STATE) {
    if (isAsking) return;
    isAsking = true;
    try {
      const headers = { Accept: "application/json", "X-CSRFToken": token() };
      const answer = await fetch(address, { method, headers, cache: "no-store" });
      if (answer.headers.get("Content-Type")?.startsWith("application/json")) heard(await answer.json());
      else later();
    } catch {
      later();
    } finally {
      isAsking = false;
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => ask(), 15000);
  }
  const stay = () => ask("POST", `${STATE}stay/`);

  function wait() {
    clearTimeout(timer);
    const left = (endsAt - Date.now()) / 1000;
    const next = left > WARN ? left - WARN + 1 : Math.min(20, Math.max(2, left + 1));
    timer = setTimeout(() => ask(), next * 1000);
  }

  for (const kind of ["keydown", "pointerdown"]) {
    document.addEventListener(kind, (event) => {
      if (state === "warned" && event.isTrusted && document.querySelector(".session-bar--warn")) stay();
    }, { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && (state || endsAt - Date.now() < WARN * 1000)) ask();
  });
  wait();
})();
