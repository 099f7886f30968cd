/** Headings, one after the other, as sections in sections. */

export interface Section<T> {
  entry: T;
  sections: Section<T>[];
}

/** A heading is in the last one before it that is of a higher rank, however many ranks are left out between them. */
export function sectionsOf<T extends { level: number }>(entries: readonly T[]): Section<T>[] {
  const top: Section<T>[] = [];
  const open: Section<T>[] = [];
  for (const entry of entries) {
    while ((open.at(-1)?.entry.level ?? 0) >= entry.level) open.pop();
    const section: Section<T> = { entry, sections: [] };
    (open.at(-1)?.sections ?? top).push(section);
    open.push(section);
  }
  return top;
}
