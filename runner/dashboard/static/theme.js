/** Light and dark: the system's choice until the visitor makes one, which is remembered. */

const system = matchMedia("(prefers-color-scheme: dark)");

/** The value of a colour token, such as `ink` or `series-1`, in the present theme. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Wire the button; `onChange` runs after every change of theme. Returns the function that toggles. */
export function startTheme(button, onChange) {
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.querySelector(".theme-name").textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to the ${theme === "dark" ? "light" : "dark"} theme`);
    onChange();
  };
  const toggle = () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", theme);
    apply(theme);
  };
  system.addEventListener("change", () => {
    if (localStorage.getItem("theme") === null) apply(system.matches ? "dark" : "light");
  });
  button.addEventListener("click", toggle);
  apply(document.documentElement.dataset.theme);
  return toggle;
}
