/** Kernels count code points, browsers UTF-16 units. Pure. */

/** UTF-16 offset to code points. */
export function toCodePoints(text: string, offset: number): number {
  let count = 0;
  for (let at = 0; at < offset && at < text.length; count += 1) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return count;
}

/** Code points to UTF-16 offset. */
export function toUtf16(text: string, codePoints: number): number {
  let at = 0;
  for (let count = 0; count < codePoints && at < text.length; count += 1) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return at;
}
