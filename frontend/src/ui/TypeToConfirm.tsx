import { Field } from "./Dialog";

/** The last step before something is gone for good: its name is typed. The dialog compares, and says what is wrong. */
export function TypeToConfirm({ word, typed, error, onTyped }: { word: string; typed: string; error: string | null; onTyped: (typed: string) => void }) {
  return (
    <Field label={`Type ${word} to be sure`} error={error}>
      {(attributes) => (
        <input {...attributes} class="input" type="text" autocomplete="off" autocapitalize="none" spellcheck={false} value={typed} onInput={(event) => onTyped(event.currentTarget.value)} />
      )}
    </Field>
  );
}
