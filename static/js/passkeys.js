// Passkeys: makes one or asks for one, and sends what the browser says as an ordinary form. A form says by its attributes
// what it is about: data-passkey="create" or "get", data-options = where the challenge comes from. Also prints the page.
// Without this file, or in a browser that knows no passkeys, the forms stay hidden and the words beside them say why.
(() => {
  "use strict";

  const print = document.querySelectorAll("[data-prints]");
  for (const button of print) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }

  const forms = document.querySelectorAll("form[data-passkey]");
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  for (const form of forms) form.hidden = false;
  for (const words of document.querySelectorAll("[data-passkey-missing]")) words.hidden = true;

  function bytes(text) {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (character) => character.charCodeAt(0));
  }

  function text(buffer) {
    const plain = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  function understood(options) {
    const known = { ...options, challenge: bytes(options.challenge) };
    if (known.user) known.user = { ...known.user, id: bytes(known.user.id) };
    for (const name of ["excludeCredentials", "allowCredentials"]) {
      if (known[name]) known[name] = known[name].map((one) => ({ ...one, id: bytes(one.id) }));
    }
    return known;
  }

  function told(credential) {
    const response = { clientDataJSON: text(credential.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return {
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
      authenticatorAttachment: credential.authenticatorAttachment,
      clientExtensionResults: credential.getClientExtensionResults(),
    };
  }

  const WORDS = {
    NotAllowedError: "No passkey was chosen, or it took too long. Try again.",
    InvalidStateError: "This device has a passkey for you here already.",
    SecurityError: "Passkeys do not work at this address. They need https, or localhost on this machine.",
  };

  async function ceremony(form) {
    const answer = await fetch(form.dataset.options, {
      method: "POST",
      headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, Accept: "application/json" },
    });
    if (answer.status === 429) throw new Error("Too many attempts. Wait a minute, then try again.");
    if (!answer.ok || answer.redirected) throw new Error("This page was open too long. Load it again.");
    const { publicKey } = await answer.json();
    const makes = form.dataset.passkey === "create";
    const credential = await navigator.credentials[makes ? "create" : "get"]({ publicKey: understood(publicKey) });
    form.elements.credential.value = JSON.stringify(told(credential));
  }

  for (const form of forms) {
    const words = form.querySelector("[data-passkey-error]");
    let isBusy = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isBusy) return;
      isBusy = true;
      words.hidden = true;
      try {
        await ceremony(form);
        form.submit();
      } catch (error) {
        words.textContent = WORDS[error.name] || error.message;
        words.hidden = false;
        isBusy = false;
      }
    });
  }
})();
