import { ApiError, get, post } from "./api.js";
import { byId } from "./dom.js";
import { textAt } from "./read.js";

/**
 * Who is logged in. Undefined: no one.
 * @returns {Promise<string | undefined>}
 */
export async function whoAmI() {
  try {
    return textAt(await get("/v1/me"), "user");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return undefined;
    throw error;
  }
}

/**
 * Shows the form until a login succeeds.
 * @returns {Promise<string>} the user's name
 */
export async function logIn() {
  const form = /** @type {HTMLFormElement} */ (byId("login"));
  const status = byId("login-status");
  const button = /** @type {HTMLButtonElement} */ (byId("login-button"));
  document.body.dataset["view"] = "login";
  status.textContent = "";
  byId("name").focus();
  return await new Promise((resolve) => {
    /** @param {SubmitEvent} event */
    const submit = async (event) => {
      event.preventDefault();
      const given = new FormData(form);
      const [name, password] = [given.get("name"), given.get("password")];
      button.disabled = true;
      status.textContent = "Checking…";
      try {
        const answer = await post("/v1/login", { name, password });
        form.reset();
        form.removeEventListener("submit", submit);
        resolve(textAt(answer, "user") ?? "");
      } catch (error) {
        status.textContent = sayWhy(error);
        byId("password").focus();
      } finally {
        button.disabled = false;
      }
    };
    form.addEventListener("submit", submit);
  });
}

/** @param {unknown} error */
function sayWhy(error) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) return "The name or the password is wrong.";
  if (error.status === 429) return "Too many attempts. Wait a moment and try again.";
  return `Not logged in: ${error.message}.`;
}

export async function logOut() {
  await post("/v1/logout", {}).catch(() => undefined);
  location.assign("/");
}
