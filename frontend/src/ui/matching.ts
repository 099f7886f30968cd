/** How well `query` matches `text`: higher is better, null when a letter is missing. Letters must come in order. */
export function matchScore(query: string, text: string): number | null {
  const wanted = query.toLowerCase().replace(/\s+/g, "");
  const given = text.toLowerCase();
  if (wanted === "") return 0;
  const whole = given.indexOf(query.toLowerCase().trim());
  if (whole >= 0) return 1000 - whole - given.length / 1000 + (isWordStart(text, whole) ? 500 : 0);
  let score = 0;
  let position = -1;
  for (const letter of wanted) {
    const next = given.indexOf(letter, position + 1);
    if (next < 0) return null;
    score += next === position + 1 ? 8 : isWordStart(text, next) ? 6 : 1;
    position = next;
  }
  return score - given.length / 1000;
}

/** Those that match, best first; equal ones keep their order. */
export function rank<T>(items: readonly T[], query: string, textOf: (item: T) => string): T[] {
  return items
    .map((item) => ({ item, score: matchScore(query, textOf(item)) }))
    .filter((entry): entry is { item: T; score: number } => entry.score !== null)
    .sort((one, other) => other.score - one.score)
    .map((entry) => entry.item);
}

function isWordStart(text: string, index: number): boolean {
  return index === 0 || /[\s/_.\-]/.test(text[index - 1] ?? "");
}
