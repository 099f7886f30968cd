import { useEffect, useRef } from "preact/hooks";

interface InputPromptProps {
  request: { input_id: string; prompt: string; password: boolean };
  canReply: boolean;
  onReply: (value: string) => void;
}

/** The line a cell's `input()` waits for. */
export function InputPrompt({ request, canReply, onReply }: InputPromptProps) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // It is what the kernel waits for; but whoever is writing somewhere goes on writing there.
    const at = document.activeElement;
    if (at && !at.closest(".cm-editor, input, textarea, select, [role=dialog]")) field.current?.focus();
  }, []);
  const label = request.prompt.trim() || "Input";
  return (
    <form
      class="nb-input"
      onSubmit={(event) => {
        event.preventDefault();
        if (canReply) onReply(field.current?.value ?? "");
      }}
    >
      <label class="nb-input-label">
        <span>{label}</span>
        <input
          ref={field}
          class="nb-input-field"
          type={(request.password ? "password" : "text") as "text"}
          autocomplete="off"
          disabled={!canReply}
          spellcheck={false}
          placeholder={canReply ? "Type and press Enter" : "Waiting for someone who may edit"}
          onKeyDown={(event) => {
            if (event.key === "Escape") event.currentTarget.closest<HTMLElement>(".nb-cell")?.focus();
            event.stopPropagation();
          }}
        />
      </label>
    </form>
  );
}
