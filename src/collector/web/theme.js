/* Loaded before the page shows, so that it does not flash in the other theme. */
const themeKey = "fim-theme";
const themes = ["auto", "light", "dark"];

function readTheme() {
  try {
    return localStorage.getItem(themeKey) ?? "auto";
  } catch {
    return "auto";
  }
}

/** @param {string} name */
function applyTheme(name) {
  document.documentElement.dataset["theme"] = name;
  const button = document.getElementById("theme-button");
  if (button) button.title = `Theme: ${name}`;
}

function nextTheme() {
  const next = themes[(themes.indexOf(readTheme()) + 1) % themes.length] ?? "auto";
  try {
    localStorage.setItem(themeKey, next);
  } catch {
    // Without storage the theme lasts until the page is closed.
  }
  applyTheme(next);
}

applyTheme(readTheme());
addEventListener("DOMContentLoaded", () => {
  applyTheme(readTheme());
  document.getElementById("theme-button")?.addEventListener("click", nextTheme);
});
