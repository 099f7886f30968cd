/** One visible row of a tree. */
export interface TreeRow<T> {
  id: string;
  /** What type-ahead compares. */
  text: string;
  depth: number;
  isBranch: boolean;
  isOpen: boolean;
  siblingIndex: number;
  siblingCount: number;
  item: T;
}

export interface TreeNode<T> {
  id: string;
  text: string;
  item: T;
  /** Undefined for leaves; null while the children are not known yet. */
  children?: readonly TreeNode<T>[] | null;
}

/** The rows that are visible with these branches open, in order. */
export function treeRows<T>(nodes: readonly TreeNode<T>[], open: ReadonlySet<string>, depth = 0): TreeRow<T>[] {
  return nodes.flatMap((node, index) => {
    const isBranch = node.children !== undefined;
    const isOpen = isBranch && open.has(node.id);
    const row: TreeRow<T> = { id: node.id, text: node.text, depth, isBranch, isOpen, siblingIndex: index, siblingCount: nodes.length, item: node.item };
    return isOpen && node.children ? [row, ...treeRows(node.children, open, depth + 1)] : [row];
  });
}

export type TreeStep = { kind: "focus"; id: string } | { kind: "open" } | { kind: "close" };

/** What a key does at the row `index` (WAI-ARIA, tree view pattern); null when the tree has no use for it. */
export function stepInTree<T>(rows: readonly TreeRow<T>[], index: number, key: string): TreeStep | null {
  const row = rows[index];
  if (!row) return null;
  const focus = (target: TreeRow<T> | undefined): TreeStep | null => (target ? { kind: "focus", id: target.id } : null);
  switch (key) {
    case "ArrowDown":
      return focus(rows[Math.min(index + 1, rows.length - 1)]);
    case "ArrowUp":
      return focus(rows[Math.max(index - 1, 0)]);
    case "Home":
      return focus(rows[0]);
    case "End":
      return focus(rows.at(-1));
    case "ArrowRight": {
      if (!row.isBranch) return null;
      if (!row.isOpen) return { kind: "open" };
      const child = rows[index + 1];
      return child && child.depth > row.depth ? focus(child) : null;
    }
    case "ArrowLeft": {
      if (row.isBranch && row.isOpen) return { kind: "close" };
      return focus(rows.slice(0, index).findLast((candidate) => candidate.depth < row.depth));
    }
    default: {
      if (key.length !== 1 || key === " ") return null;
      const letter = key.toLowerCase();
      const turned = [...rows.slice(index + 1), ...rows.slice(0, index)];
      return focus(turned.find((candidate) => candidate.text.toLowerCase().startsWith(letter)));
    }
  }
}

const OVERSCAN_ROWS = 12;

/** Which rows to draw: those in sight and a few around them. */
export function visibleRange(count: number, rowHeight: number, scrollTop: number, height: number): { first: number; last: number } {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - OVERSCAN_ROWS);
  const last = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + OVERSCAN_ROWS);
  return { first: Math.min(first, count), last };
}
