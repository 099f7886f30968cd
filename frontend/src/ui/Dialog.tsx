import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button, IconButton } from "./Button";
import { focusableIn, rememberFocus, trapTab } from "./focus";
import { showLayer } from "./layers";
import "./dialog.css";

export interface DialogProps {
  title: string;
  children: ComponentChildren;
  /** Buttons, the main one last. */
  footer?: ComponentChildren;
  size?: "small" | "medium" | "large";
  onClose: () => void;
  /** Makes the whole a form: Enter in a field submits. */
  onSubmit?: () => void | Promise<void>;
}

/** A modal dialog: takes the focus, keeps it, gives it back; Escape and a click beside it close it. */
export function Dialog({ title, children, footer, size = "small", onClose, onSubmit }: DialogProps) {
  const box = useRef<HTMLDivElement>(null);
  const titleId = useId();

  useLayoutEffect(() => {
    const giveBack = rememberFocus();
    const inside = box.current;
    if (inside) {
      const wanted = inside.querySelector<HTMLElement>("[data-autofocus]") ?? focusableIn(inside.querySelector(".dialog-body") ?? inside)[0];
      (wanted ?? inside).focus();
      if (wanted instanceof HTMLInputElement && wanted.type === "text") wanted.select();
    }
    return giveBack;
  }, []);

  return (
    <div
      class="dialog-backdrop"
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div
        ref={box}
        class={`dialog dialog-${size}`}
        role="dialog"
        aria-modal="true"
        aria-labelledby={titleId}
        tabIndex={-1}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            event.stopPropagation();
            onClose();
          } else trapTab(event, event.currentTarget);
        }}
      >
        <div class="dialog-header">
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </div>
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            void onSubmit?.();
          }}
        >
          <div class="dialog-body">{children}</div>
          {footer && <div class="dialog-footer">{footer}</div>}
        </form>
      </div>
    </div>
  );
}

export interface Confirmation {
  title: string;
  text: ComponentChildren;
  /** What happens: "Delete", not "OK". */
  action: string;
  danger?: boolean;
  cancel?: string;
}

/** Asks; true when the person said yes. */
export function confirm({ title, text, action, danger = false, cancel = "Cancel" }: Confirmation): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (answer: boolean) => {
      hide();
      resolve(answer);
    };
    const hide = showLayer(
      <Dialog
        title={title}
        onClose={() => end(false)}
        onSubmit={() => end(true)}
        footer={
          <>
            <Button onClick={() => end(false)} data-autofocus={danger}>
              {cancel}
            </Button>
            <Button type="submit" kind={danger ? "danger" : "primary"} data-autofocus={!danger}>
              {action}
            </Button>
          </>
        }
      >
        {typeof text === "string" ? <p>{text}</p> : text}
      </Dialog>,
    );
  });
}

export interface Question {
  title: string;
  label: string;
  initial?: string;
  action: string;
  hint?: string;
  /** Selects only the part before the last dot, as one renames files. */
  selectsStem?: boolean;
  /** Why the answer will not do, or null. */
  check?: (answer: string) => string | null;
}

/** Asks for one line of text; null when the person gave up. */
export function ask(question: Question): Promise<string | null> {
  return new Promise((resolve) => {
    const end = (answer: string | null) => {
      hide();
      resolve(answer);
    };
    const hide = showLayer(<QuestionDialog {...question} onEnd={end} />);
  });
}

function QuestionDialog({ title, label, initial = "", action, hint, selectsStem, check, onEnd }: Question & { onEnd: (answer: string | null) => void }) {
  const [answer, setAnswer] = useState(initial);
  const [isTouched, setTouched] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const problem = answer.trim() === "" ? "Give it a name." : (check?.(answer.trim()) ?? null);

  useEffect(() => {
    const dot = initial.lastIndexOf(".");
    if (selectsStem && dot > 0) input.current?.setSelectionRange(0, dot);
  }, []);

  return (
    <Dialog
      title={title}
      onClose={() => onEnd(null)}
      onSubmit={() => {
        if (problem === null) onEnd(answer.trim());
        else setTouched(true);
      }}
      footer={
        <>
          <Button onClick={() => onEnd(null)}>Cancel</Button>
          <Button type="submit" kind="primary">
            {action}
          </Button>
        </>
      }
    >
      <Field label={label} hint={hint} error={isTouched ? problem : null}>
        {(attributes) => (
          <input
            {...attributes}
            ref={input}
            class="input"
            type="text"
            autocomplete="off"
            spellcheck={false}
            value={answer}
            onInput={(event) => {
              setAnswer(event.currentTarget.value);
              setTouched(true);
            }}
          />
        )}
      </Field>
    </Dialog>
  );
}

export interface FieldAttributes {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean;
}

/** A label, its control, and under it a hint or what is wrong. */
export function Field({ label, hint, error, children }: { label: string; hint?: ComponentChildren; error?: string | null; children: (attributes: FieldAttributes) => ComponentChildren }) {
  const id = useId();
  const noteId = `${id}-note`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": (error ?? hint) ? noteId : undefined, "aria-invalid": Boolean(error) })}
      {error ? (
        <p id={noteId} class="field-error" role="alert">
          {error}
        </p>
      ) : (
        hint && (
          <p id={noteId} class="field-hint">
            {hint}
          </p>
        )
      )}
    </div>
  );
}
