// The page behind one-time links: an invitation, the proof of an address, a new password. The secret
// is in the fragment of the address, which the browser has not sent to any server.
(() => {
  const fields = new URLSearchParams(location.hash.slice(1));
  const form = document.querySelector("form");
  const output = document.querySelector("output");
  const password = form.elements.namedItem("password");
  const email = fields.get("email");
  const uses = [
    {
      field: "invitation",
      heading: `Choose a password for ${email}`,
      path: "/api/v1/auth/register",
      body: (secret) => ({ email, password: password.value, invitation: secret }),
    },
    {
      field: "verify",
      heading: "Give the password that you registered with",
      path: "/api/v1/auth/verify-email",
      body: (secret) => ({ token: secret, password: password.value }),
    },
    {
      field: "reset",
      heading: "Choose a new password",
      path: "/api/v1/auth/password-reset/confirm",
      body: (secret) => ({ token: secret, new_password: password.value }),
    },
  ];
  const use = uses.find(({ field }) => fields.has(field));
  const heading = document.querySelector("h1");
  if (!use) {
    heading.textContent = "This link is not complete";
    return;
  }
  heading.textContent = use.heading;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.textContent = "";
    try {
      const answer = await fetch(use.path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(use.body(fields.get(use.field))),
      });
      if (!answer.ok) {
        output.textContent = (await answer.json()).detail;
        return;
      }
      form.hidden = true;
      heading.textContent = "Done. You can sign in now.";
      history.replaceState(null, "", location.pathname);
    } catch {
      output.textContent = "The platform does not answer. Try again.";
    }
  });
})();
