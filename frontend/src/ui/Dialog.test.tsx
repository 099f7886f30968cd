import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, confirm } from "./Dialog";
import { Layers } from "./layers";
import { openMenu, placeFor } from "./Menu";

let root: HTMLElement;
beforeEach(async () => {
  root = document.createElement("div");
  document.body.append(root);
  await act(() => render(<Layers />, root));
});
afterEach(() => {
  render(null, root);
  document.body.replaceChildren();
});

const dialog = () => document.querySelector<HTMLElement>("[role=dialog]");
const button = (name: string) => {
  const found = [...document.querySelectorAll("button")].find((candidate) => candidate.textContent === name);
  if (!found) throw new Error(`There is no button "${name}".`);
  return found;
};
const key = (name: string, target: EventTarget = document.activeElement ?? document.body, init: KeyboardEventInit = {}) =>
  act(() => void target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...init })));

test("a dangerous question starts on the harmless answer", async () => {
  let answer: Promise<boolean> | undefined;
  await act(() => void (answer = confirm({ title: "Delete?", text: "Gone.", action: "Delete", danger: true })));
  expect(document.activeElement?.textContent).toBe("Cancel");
  await act(() => button("Cancel").click());
  expect(await answer).toBe(false);
  expect(dialog()).toBeNull();
});

test("Escape gives up, and the focus goes back to where it was", async () => {
  const before = document.createElement("button");
  document.body.append(before);
  before.focus();
  let answer: Promise<string | null> | undefined;
  await act(() => void (answer = ask({ title: "Rename", label: "Name", initial: "a.txt", action: "Rename" })));
  expect(document.activeElement?.tagName).toBe("INPUT");
  await key("Escape");
  expect(await answer).toBeNull();
  expect(document.activeElement).toBe(before);
});

test("Tab stays in the dialog in both directions", async () => {
  await act(() => void confirm({ title: "Sure?", text: "Really.", action: "Yes" }));
  const stops = [...(dialog()?.querySelectorAll("button") ?? [])];
  stops.at(-1)?.focus();
  await key("Tab");
  expect(document.activeElement).toBe(stops[0]);
  await key("Tab", document.activeElement ?? undefined, { shiftKey: true });
  expect(document.activeElement).toBe(stops.at(-1));
  await key("Escape");
});

test("an answer that will not do is refused with the reason, and sent once it is right", async () => {
  let answer: Promise<string | null> | undefined;
  await act(() => void (answer = ask({ title: "New", label: "Name", action: "Create", check: (name) => (name.includes("/") ? "No slashes." : null) })));
  const input = document.querySelector("input");
  const form = document.querySelector("form");
  if (!input || !form) throw new Error("The dialog has no form.");
  const type = (text: string) =>
    act(() => {
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
  const submit = () => act(() => void form.dispatchEvent(new Event("submit", { bubbles: true, cancelable: true })));
  await submit();
  expect(document.querySelector("[role=alert]")?.textContent).toBe("Give it a name.");
  await type("a/b");
  await submit();
  expect(document.querySelector("[role=alert]")?.textContent).toBe("No slashes.");
  expect(input.getAttribute("aria-invalid")).toBe("true");
  await type("  a b  ");
  await submit();
  expect(await answer).toBe("a b");
});

test("a menu opens on its first entry, moves by arrows and letters, and runs the choice", async () => {
  const chosen: string[] = [];
  const item = (label: string, more = {}) => ({ label, run: () => void chosen.push(label), ...more });
  await act(() => openMenu({ x: 10, y: 10 }, [item("Open"), "separator", item("Rename", { disabled: true }), item("Delete")]));
  await act(() => new Promise((resolve) => requestAnimationFrame(() => resolve(undefined))));
  expect(document.activeElement?.textContent).toBe("Open");
  await key("ArrowDown");
  expect(document.activeElement?.textContent).toBe("Delete");
  await key("o");
  expect(document.activeElement?.textContent).toBe("Open");
  await key("End");
  await act(() => (document.activeElement as HTMLElement).click());
  expect(chosen).toEqual(["Delete"]);
  expect(document.querySelector("[role=menu]")).toBeNull();
});

test("a menu stays on the page, whatever its anchor", () => {
  expect(placeFor({ x: 10, y: 10 }, 200, 300, 1000, 800)).toEqual({ x: 10, y: 10 });
  expect(placeFor({ x: 950, y: 10 }, 200, 300, 1000, 800).x).toBe(794);
  expect(placeFor({ x: 10, y: 790 }, 200, 300, 1000, 800).y).toBe(490);
  expect(placeFor({ x: 10, y: 100 }, 200, 900, 1000, 800).y).toBe(6);
});
