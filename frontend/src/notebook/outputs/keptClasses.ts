/**
 * Takes from elements of a notebook all class names but those given: with the app's own ones, they could look like
 * parts of the app or cover it.
 */
export function keepClasses(fragment: DocumentFragment, kept: RegExp): void {
  for (const element of fragment.querySelectorAll("[class]")) {
    const names = [...element.classList].filter((name) => kept.test(name));
    if (names.length > 0) element.setAttribute("class", names.join(" "));
    else element.removeAttribute("class");
  }
}
