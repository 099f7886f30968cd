import { NotebookView } from "../../notebook/NotebookView";
import type { TabViewProps } from "../TabArea";

export function NotebookTab({ project, tab, isActive }: TabViewProps) {
  return <NotebookView project={project} path={tab.path} isActive={isActive} status={tab.status} />;
}
