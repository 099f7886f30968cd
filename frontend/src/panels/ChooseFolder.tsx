import { useEffect, useState } from "preact/hooks";
import type { Entry } from "../api/types";
import type { ProjectFiles } from "../store/files";
import { isWithin, nameOf } from "../store/paths";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { showLayer } from "../ui/layers";
import { Tree } from "../ui/Tree";
import { treeRows, type TreeNode } from "../ui/treeRows";

interface FolderChoice {
  files: ProjectFiles;
  title: string;
  action: string;
  /** Where it is now. */
  from: string;
  /** This folder and all below it cannot be chosen. */
  without?: string;
}

const ROOT_ID = "/"; // no path of a project begins with a slash

/** Asks for a folder of the project; "" is the project itself, null means the person gave up. */
export function chooseFolder(choice: FolderChoice): Promise<string | null> {
  return new Promise((resolve) => {
    const hide = showLayer(
      <FolderDialog
        {...choice}
        onEnd={(folder) => {
          hide();
          resolve(folder);
        }}
      />,
    );
  });
}

function FolderDialog({ files, title, action, from, without, onEnd }: FolderChoice & { onEnd: (folder: string | null) => void }) {
  const [selected, setSelected] = useState(from || ROOT_ID);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set([ROOT_ID]));
  const [isLoading, setLoading] = useState(false);

  useEffect(() => {
    void files.load("");
  }, []);

  const nodes: TreeNode<{ name: string }>[] = [{ id: ROOT_ID, text: "Project", item: { name: "Project" }, children: foldersOnly(files.nodes.value, without) }];
  const toggle = async (id: string, isOpen: boolean) => {
    const next = new Set(open);
    if (isOpen) next.add(id);
    else next.delete(id);
    setOpen(next);
    if (isOpen && id !== ROOT_ID) {
      setLoading(true);
      await files.load(id);
      setLoading(false);
    }
  };

  return (
    <Dialog
      title={title}
      onClose={() => onEnd(null)}
      onSubmit={() => onEnd(selected === ROOT_ID ? "" : selected)}
      footer={
        <>
          <Button onClick={() => onEnd(null)}>Cancel</Button>
          <Button type="submit" kind="primary">
            {action}
          </Button>
        </>
      }
    >
      <div class="folder-choice" aria-busy={isLoading}>
        <Tree
          rows={treeRows(nodes, open)}
          selected={selected}
          label="Folders"
          onSelect={setSelected}
          onOpen={(row) => void toggle(row.id, !row.isOpen)}
          onToggle={(id, isOpen) => void toggle(id, isOpen)}
          renderRow={(row) => (
            <>
              <span class="file-icon file-icon-folder">
                <Icon name={row.isOpen ? "folder-open" : "folder"} size={15} />
              </span>
              <span class="truncate">{row.item.name}</span>
            </>
          )}
        />
      </div>
      <p class="muted">To: {selected === ROOT_ID ? "the project itself" : nameOf(selected)}</p>
    </Dialog>
  );
}

function foldersOnly(nodes: readonly TreeNode<Entry>[], without: string | undefined): TreeNode<{ name: string }>[] {
  return nodes
    .filter((node) => node.item.type === "folder" && (without === undefined || !isWithin(node.id, without)))
    .map((node) => ({ id: node.id, text: node.text, item: node.item, children: node.children ? foldersOnly(node.children, without) : null }));
}
