import { describe, expect, test } from "vitest";
import { renderMarkdown } from "./sanitiseMarkdown";
import { simpleTable } from "./sanitiseTable";

function htmlOf(fragment: DocumentFragment | null): string {
  const holder = document.createElement("div");
  if (fragment) holder.append(fragment);
  return holder.innerHTML;
}

const classesIn = (fragment: DocumentFragment | null): string[] => [...(fragment?.querySelectorAll("[class]") ?? [])].map((element) => element.className);

describe("class names of a notebook", () => {
  test("Markdown wears none of the app", () => {
    const fragment = renderMarkdown('<span class="dialog-backdrop toasts out-math-x language-">x</span>');
    expect(classesIn(fragment)).toEqual([]);
    expect(htmlOf(fragment)).toContain("x");
  });

  test("Markdown keeps what formulas and code have, beside others too", () => {
    expect(classesIn(renderMarkdown("$$x$$"))).toEqual(["out-math out-math-block"]);
    expect(classesIn(renderMarkdown("```python\n1\n```"))).toEqual(["language-python"]);
    expect(classesIn(renderMarkdown('<code class="button language-c++">x</code>'))).toEqual(["language-c++"]);
  });

  test("the boxes of Jupyter's notebooks are boxes", () => {
    expect(classesIn(renderMarkdown('<span class="alert alert-block alert-warning">Mind the gap</span>'))).toEqual(["alert alert-warning"]);
    expect(classesIn(renderMarkdown('<span class="alert-x alerts">x</span>'))).toEqual([]);
  });

  test("a table is a data frame or has none", () => {
    const table = (name: string) => simpleTable(`<div>\n<table class="${name}"><tbody class="menu"><tr><td class="dialog-backdrop">1</td></tr></tbody></table></div>`);
    expect(classesIn(table("dialog-backdrop"))).toEqual([]);
    expect(classesIn(table("table dataframe menu"))).toEqual(["dataframe"]);
    expect(htmlOf(table("dataframe"))).toContain("1");
  });
});
