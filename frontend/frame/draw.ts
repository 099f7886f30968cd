/** Puts an output's HTML into the page and runs its scripts in order, as a page that loads does. */

const JAVASCRIPT = /^(|module|(text|application)\/(x-)?(java|ecma)script)$/i;

export async function drawHtml(root: HTMLElement, html: string): Promise<void> {
  root.innerHTML = html;
  // Scripts that come by innerHTML do not run: each is replaced by one that does.
  for (const inert of root.querySelectorAll("script")) {
    if (!JAVASCRIPT.test(inert.type)) continue;
    const script = document.createElement("script");
    for (const { name, value } of inert.attributes) script.setAttribute(name, value);
    script.textContent = inert.textContent;
    const isExternal = script.src !== "";
    script.async = false;
    const settled = isExternal
      ? new Promise<void>((resolve) => {
          script.onload = script.onerror = () => { resolve(); };
        })
      : Promise.resolve();
    inert.replaceWith(script);
    await settled;
  }
}

/** JavaScript of a kernel; `element` is where it may draw, as in other notebooks. */
export function runJavascript(root: HTMLElement, source: string): void {
  // This page exists to run such code.
  const run = new Function("element", source) as (element: HTMLElement) => unknown;
  run(root);
}
