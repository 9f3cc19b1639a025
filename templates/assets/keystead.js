// Comforts for the forms. Every page works without this file: nothing here is needed to sign in, to consent or to sign out.

/** Adds a button that shows the password while it is typed; it goes back to dots before it is sent. */
function addPasswordToggle(input) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-controls", input.id);
  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.textContent = visible ? "Hide" : "Show";
    button.setAttribute("aria-label", visible ? "Hide password" : "Show password");
  };
  button.addEventListener("click", () => show(input.type === "password"));
  input.form.addEventListener("submit", () => show(false));
  window.addEventListener("pagehide", () => show(false));
  show(false);
  input.after(button);
}

/** A second click must not send a form twice: its CSRF token is good for one use. The guard lapses, so that nobody is stuck. */
function sendOnce(form) {
  const LAPSE_MS = 8000;
  const release = () => form.removeAttribute("aria-busy");
  form.addEventListener("submit", (event) => {
    if (form.getAttribute("aria-busy") === "true") {
      event.preventDefault();
      return;
    }
    form.setAttribute("aria-busy", "true");
    setTimeout(release, LAPSE_MS);
  });
  window.addEventListener("pageshow", release);
}

/** A logo that cannot be loaded gives way to the letter behind it. */
function dropWhenBroken(image) {
  const drop = () => image.remove();
  if (image.complete && image.naturalWidth === 0) drop();
  else image.addEventListener("error", drop);
}

/** The end of a logout goes on to the application as soon as the others were told; without this file after five seconds. */
function continueWhenLoaded(link) {
  window.addEventListener("load", () => location.replace(link.href));
}

document.querySelectorAll("#logout-continue").forEach(continueWhenLoaded);
document.querySelectorAll(".password input").forEach(addPasswordToggle);
document.querySelectorAll("form").forEach(sendOnce);
document.querySelectorAll(".app-icon img").forEach(dropWhenBroken);
