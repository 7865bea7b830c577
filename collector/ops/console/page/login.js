/** The log-in form, for addresses that others reach. */
import { html, useState } from "./preact.js";
import { get, post, useAction } from "./api.js";
import { Failure, Field } from "./parts.js";
import { session } from "./state.js";

export function LogIn() {
  const [token, type] = useState("");
  const entry = useAction(async () => {
    await post("/api/session", { token });
    session.set(await get("/api/session"));
  });
  function submit(event) {
    event.preventDefault();
    entry.run();
  }
  return html`<main class="login" id="main">
    <h1>Tracklog</h1>
    <form onSubmit=${submit}>
      <${Field} label="token" hint="the value of the variable that admin.token names"><input type="password" name="token" autocomplete="current-password" required value=${token} onInput=${(event) => type(event.currentTarget.value)} /><//>
      <p><button class="primary" disabled=${entry.isBusy}>Log in</button></p>
      <${Failure} error=${entry.error} />
    </form>
  </main>`;
}
