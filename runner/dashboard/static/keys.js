/** Keyboard shortcuts: single keys, never while typing and never with Ctrl, Alt or Meta. */

const TYPING = "input, textarea, select, [contenteditable]";
const PRESSABLE = "button, summary, a[href]";

/** `actions` by key, such as `{t: toggleTheme, " ": pause}`. */
export function startKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPING)) return;
    if (event.key === " " && event.target.closest(PRESSABLE)) return;
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
