/** How the text of a file is written as bytes, so that saving changes nothing the person did not change. */
export interface TextForm {
  hasBom: boolean;
  lineBreak: "\n" | "\r\n";
}

export interface DecodedText {
  text: string;
  form: TextForm;
}

/** The text of a UTF-8 file with line breaks as `\n`; null when the bytes are no text. */
export function decodeText(bytes: Uint8Array): DecodedText | null {
  if (bytes.includes(0)) return null;
  const hasBom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes); // drops the byte order mark
  } catch {
    return null;
  }
  const breaks = text.split("\n").length - 1;
  const windowsBreaks = text.split("\r\n").length - 1;
  // A file that mixes both is kept byte by byte: its \r are then ordinary characters at the ends of lines.
  const isWindows = windowsBreaks > 0 && windowsBreaks === breaks;
  return { text: isWindows ? text.replaceAll("\r\n", "\n") : text, form: { hasBom, lineBreak: isWindows ? "\r\n" : "\n" } };
}

/** The bytes of an edited text in the form the file had. */
export function encodeText(text: string, form: TextForm): Uint8Array<ArrayBuffer> {
  const broken = form.lineBreak === "\r\n" ? text.replaceAll("\n", "\r\n") : text;
  return new TextEncoder().encode(form.hasBom ? `\ufeff${broken}` : broken);
}
