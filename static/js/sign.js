// Approvals that a passkey signs (form[data-sign]): the server says what to sign, the browser asks for the passkey, and what
// it answers goes along with the form. Whatever goes wrong leaves the page as it was. Without this file such an approval
// is refused, and the page says so; rejecting and returning never pass here.
(() => {
  "use strict";

  const PATIENCE = 20000;
  const WORDS = {
    NotAllowedError: "Nothing was decided: the passkey was not used. Approve again when it is at hand.",
    SecurityError: "Nothing was decided: your passkey belongs to another address. Open Countersign at its usual one.",
    AbortError: "Nothing was decided: the page changed while your passkey was asked. Read it again.",
    TimeoutError: "Nothing was decided: the server took too long to say what to sign. Approve again.",
    TypeError: "Nothing was decided: Countersign cannot be reached. Approve again in a moment.",
    NotSupportedError: "Nothing was decided: this browser cannot use passkeys here. Use another one.",
  };
  const FAILED = "Nothing was decided: the passkey did not answer as it should. Approve again, or use another one.";

  let pending = null;

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  function tell(form, words, isFault) {
    const place = form.querySelector("[data-sign-words]");
    if (place) {
      place.textContent = words;
      place.classList.toggle("field__error", Boolean(isFault));
    }
    window.countersign?.say(words);
  }

  // What to sign, or null where sending the form as it is says best what is the matter with it.
  async function ask(form) {
    const answer = await fetch(form.dataset.sign, { method: "POST", body: new FormData(form), signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok || answer.redirected || !answer.headers.get("content-type")?.startsWith("application/json")) return null;
    const asked = await answer.json();
    return asked.sign ? asked : null;
  }

  async function answered(asked, signal) {
    if (!window.PublicKeyCredential || !navigator.credentials) throw new DOMException("", "NotSupportedError");
    const { challenge, rpId, credentials, timeout } = asked.options;
    const { rawId, response } = await navigator.credentials.get({
      signal,
      publicKey: {
        challenge: bytes(challenge), rpId, timeout, userVerification: "required",
        allowCredentials: credentials.map((id) => ({ type: "public-key", id: bytes(id) })),
      },
    });
    return JSON.stringify({
      nonce: asked.nonce,
      credential: text(rawId),
      authenticator_data: text(response.authenticatorData),
      client_data: text(response.clientDataJSON),
      signature: text(response.signature),
    });
  }

  async function sign(form) {
    const mine = { form, stop: new AbortController() };
    pending = mine;
    form.setAttribute("aria-busy", "true");
    tell(form, "Waiting for your passkey: your browser asks for it now.");
    const field = form.querySelector("[name=assertion]");
    try {
      field.value = "";
      const asked = await ask(form);
      if (asked) field.value = await answered(asked, mine.stop.signal);
      if (!form.isConnected) throw new DOMException("", "AbortError");
      form.dataset.signed = "yes";
      form.requestSubmit();
      delete form.dataset.signed;
    } catch (error) {
      tell(form, WORDS[error.name] || FAILED, true);
      if (form.isConnected) form.querySelector("[data-sign-button]")?.focus();
    } finally {
      form.removeAttribute("aria-busy");
      pending = null;
    }
  }

  // Before htmx sees it; a named button is a step of the edit form and decides nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-sign]") || form.dataset.signed || event.submitter?.name) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (pending?.form === form) window.countersign?.say("Your passkey is being asked already.");
    else if (pending) pending.stop.abort();
    else sign(form);
  }, true);

  // Another page, or another version of this one, has come: what would be signed is no longer on screen.
  document.addEventListener("htmx:afterSwap", () => {
    if (pending && !pending.form.isConnected) pending.stop.abort();
  });
})();
