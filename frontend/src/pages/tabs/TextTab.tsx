import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { createTextEditor, type TextEditor } from "../../editor/textEditor";
import { TextFile, type StaleSave } from "../../editor/textFile";
import { registerCommands } from "../../store/commands";
import { nameOf, parentOf } from "../../store/paths";
import { canEdit } from "../../store/projects";
import type { TabStatus } from "../../store/status";
import { Button } from "../../ui/Button";
import { Loading } from "../../ui/Progress";
import { toastError } from "../../ui/toast";
import { Message } from "../ErrorPage";
import type { TabViewProps } from "../TabArea";
import { BinaryTab } from "./BinaryTab";
import { askAboutStale } from "./StaleDialog";

/** A text file in an editor, saved by hand; a save over someone else's is refused and both versions kept. */
export function TextTab({ project, work, tab, isActive }: TabViewProps) {
  const file = useMemo(() => new TextFile(project.id, tab.path), [tab.path]);
  const box = useRef<HTMLDivElement>(null);
  const editor = useRef<TextEditor | null>(null);
  const saving = useRef<Promise<boolean> | null>(null);
  const [isOutdated, setOutdated] = useState(false);
  const isReadOnly = !canEdit(project);
  const phase = file.phase.value;

  const tell = (change: Partial<TabStatus>) => (tab.status.value = { ...tab.status.peek(), ...change });
  const isChanged = () => editor.current !== null && editor.current.text() !== file.savedText;

  useEffect(() => {
    const abort = new AbortController();
    file.load(abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) toastError(error);
    });
    return () => abort.abort();
  }, [file]);

  useEffect(() => {
    const parent = box.current;
    if (phase.kind !== "ready" || !parent || editor.current) return;
    editor.current = createTextEditor(parent, {
      path: tab.path,
      text: file.savedText,
      isReadOnly,
      onChange: () => tell({ saved: isChanged() ? "unsaved" : "saved" }),
      onPosition: (position) => tell({ position }),
    });
    tell({ saved: "saved", readOnly: isReadOnly });
    if (isActive && !isReadOnly) editor.current.view.focus();
  }, [phase.kind]);

  useEffect(
    () => () => {
      editor.current?.destroy();
      editor.current = null;
    },
    [],
  );

  const reload = async () => {
    await file.load();
    editor.current?.replace(file.savedText);
    setOutdated(false);
    tell({ saved: "saved" });
  };

  /** What to do after someone else saved first; true when the person's text is safe in the file. */
  const resolveStale = async (stale: StaleSave, text: string): Promise<boolean> => {
    void work.files.hint(parentOf(tab.path));
    const choice = await askAboutStale(nameOf(tab.path), stale);
    if (choice === "theirs") await reload();
    else if (choice === "compare" && stale.keptAs !== null) {
      await reload();
      work.show(stale.keptAs);
    } else if (choice === "mine") return write(text, stale.etag);
    return choice !== "later";
  };

  const write = async (text: string, over?: string | null): Promise<boolean> => {
    tell({ saved: "saving" });
    const outcome = await file.save(text, over);
    if (outcome.kind === "saved") {
      setOutdated(false);
      tell({ saved: isChanged() ? "unsaved" : "saved" });
      return true;
    }
    if (outcome.kind === "stale") {
      tell({ saved: "unsaved" });
      return resolveStale(outcome.stale, text);
    }
    tell({ saved: outcome.error.isOffline ? "offline" : "failed" });
    toastError(outcome.error);
    return false;
  };

  const save = async (): Promise<boolean> => {
    // One save at a time: the second must know the version the first made.
    if (saving.current) await saving.current;
    const text = editor.current?.text();
    if (text === undefined || text === file.savedText) return true;
    saving.current = write(text).finally(() => (saving.current = null));
    return saving.current;
  };

  useEffect(() => {
    if (isReadOnly) return;
    tab.save = save;
    return () => {
      tab.save = undefined;
    };
  }, [tab, file]);

  useEffect(() => {
    if (!isActive) return;
    return registerCommands([
      { id: "text.save", title: `Save ${nameOf(tab.path)}`, group: "Text", keys: ["Mod-S"], whileTyping: true, when: () => !isReadOnly, run: () => void save() },
    ]);
  }, [isActive, file]);

  // Another person or a kernel wrote the file: follow quietly, or say so when there are changes here.
  useEffect(
    () =>
      work.files.onChange((folder) => {
        const now = folder === parentOf(tab.path) ? work.files.entry(tab.path)?.etag : null;
        if (!now || now === file.etag || saving.current || file.phase.peek().kind !== "ready") return;
        if (isChanged()) setOutdated(true);
        else void reload();
      }),
    [file],
  );

  switch (phase.kind) {
    case "loading":
      return <Loading />;
    case "failed":
      return (
        <div class="message-page">
          <Message icon="warning" title={phase.error.status === 404 ? "This file is gone" : "This file cannot be opened"} text={phase.error.status === 404 ? "It was moved or deleted. If it was deleted, it may be in the trash." : phase.error.message} />
          <Button icon="refresh" onClick={() => void file.load()}>
            Try again
          </Button>
        </div>
      );
    case "unfit":
      return <BinaryTab work={work} tab={tab} />;
    case "ready":
      return (
        <div class="text-tab">
          {isOutdated && (
            <div class="text-notice" role="status">
              <p>This file was changed elsewhere while you have unsaved changes. Saving keeps both versions.</p>
              <Button onClick={() => void save()}>Save</Button>
              <Button onClick={() => void reload()}>Drop my changes</Button>
            </div>
          )}
          <div ref={box} class="text-editor" />
        </div>
      );
  }
}
