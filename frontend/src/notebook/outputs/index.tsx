export { type Heading, headingsOf } from "./headings";
export { Markdown, type MarkdownProps } from "./Markdown";
export { headingId } from "./sanitiseMarkdown";
export { type OutputActions, Outputs, type OutputsProps } from "./Outputs";
