// The page of the API: try a call with one's own token. The token is read from its field when a call is sent, goes to this
// server alone and is kept nowhere; the session of whoever is signed in here is not sent along.
(() => {
  "use strict";

  const token = document.getElementById("api-token");
  const told = ["etag", "location", "retry-after", "content-type"];
  const forms = document.querySelectorAll("[data-api-try]");
  const running = new WeakMap();

  document.querySelector("[data-api-token]").hidden = false;
  for (const form of forms) {
    form.hidden = false;
    newKey(form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
    form.querySelector("[data-api-stop]").addEventListener("click", () => running.get(form)?.abort());
    form.querySelector("[data-api-example]")?.addEventListener("change", (event) => {
      form.querySelector("[data-api-body]").value = event.target.value;
    });
  }

  function newKey(form) {
    const field = form.elements["Idempotency-Key"];
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    if (field) field.value = `try-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }

  function request(form, signal) {
    const headers = {};
    if (token.value.trim()) headers.Authorization = `Bearer ${token.value.trim()}`;
    const query = new URLSearchParams();
    let path = form.dataset.path;
    for (const field of form.querySelectorAll("[data-in]")) {
      const value = field.value.trim();
      if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(value));
      else if (value && field.dataset.in === "query") query.set(field.name, value);
      else if (value) headers[field.name] = value;
    }
    const body = form.querySelector("[data-api-body]");
    if (body) headers["Content-Type"] = "application/json";
    const address = query.size ? `${path}?${query}` : path;
    const options = { method: form.dataset.method, headers, credentials: "omit", cache: "no-store", redirect: "error", signal };
    return fetch(address, body ? { ...options, body: body.value } : options);
  }

  async function send(form) {
    const status = form.querySelector("[data-api-status]");
    const answer = form.querySelector("[data-api-answer]");
    const stop = form.querySelector("[data-api-stop]");
    running.get(form)?.abort();
    const control = new AbortController();
    running.set(form, control);
    status.textContent = "Sent …";
    answer.hidden = true;
    answer.textContent = "";
    stop.hidden = false;
    try {
      const response = await request(form, control.signal);
      const said = told.filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`);
      status.textContent = [`${response.status} ${response.statusText}`.trim(), ...said].join(" · ");
      answer.hidden = false;
      if ((response.headers.get("content-type") || "").startsWith("text/event-stream")) await show(response, answer);
      else finish(form, response, await response.text(), answer);
    } catch (error) {
      status.textContent = control.signal.aborted ? `${status.textContent} · stopped` : `It was not answered: ${error.message}`;
    } finally {
      if (running.get(form) === control) stop.hidden = true;
    }
  }

  async function show(response, answer) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      answer.textContent = (answer.textContent + value).slice(-20000);
    }
  }

  function finish(form, response, text, answer) {
    let found = null;
    try {
      found = JSON.parse(text);
      answer.textContent = JSON.stringify(found, null, 2);
    } catch {
      answer.textContent = text || "(no body)";
    }
    if (response.status === 201) newKey(form);
    if (response.ok && found?.id && found.digest) handOn(found);
  }

  // What one call answered is what the next one asks for, unless somebody has typed something else there.
  function handOn(proposal) {
    for (const form of forms) {
      const id = form.elements.proposal_id;
      if (id && (!id.value || id.dataset.filled === id.value)) id.value = id.dataset.filled = proposal.id;
      const body = form.querySelector("[data-api-body]");
      if (body && form.dataset.path.endsWith("/redeem")) body.value = JSON.stringify({ digest: proposal.digest }, null, 2);
    }
  }
})();
