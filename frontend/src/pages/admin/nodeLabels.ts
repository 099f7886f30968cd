/** Labels of nodes as people write them: `gpu=yes, zone=a`; a name alone means `yes`, as in NODE_LABELS. */

const LABEL = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

export type ParsedLabels = { labels: Record<string, string>; problem: null } | { labels: null; problem: string };

export function parseLabels(text: string): ParsedLabels {
  const labels: Record<string, string> = {};
  for (const part of text.split(",").map((each) => each.trim())) {
    if (part === "") continue;
    const at = part.indexOf("=");
    const name = (at < 0 ? part : part.slice(0, at)).trim();
    const value = at < 0 ? "yes" : part.slice(at + 1).trim();
    if (!LABEL.test(name) || !LABEL.test(value)) return { labels: null, problem: `“${part.slice(0, 80)}” is no label. Write a name and a value, such as gpu=yes.` };
    if (Object.hasOwn(labels, name) && labels[name] !== value) return { labels: null, problem: `A node cannot have two values of ${name}.` };
    labels[name] = value;
  }
  return { labels, problem: null };
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}
