import { useEffect, useState } from "preact/hooks";
import { projects } from "../store/projects";
import { Loading } from "../ui/Progress";
import { ErrorPage, NotFoundPage } from "./ErrorPage";
import { ProjectPage } from "./ProjectPage";

/** The project an address names, once it is known; what is not mine does not exist. */
export function ProjectGate({ team, slug, path }: { team: string; slug: string; path: string | null }) {
  const project = projects.data.value?.find((candidate) => candidate.team === team && candidate.slug === slug);
  const [isAsked, setAsked] = useState(project !== undefined);

  useEffect(() => {
    if (!isAsked) void projects.refresh().then(() => setAsked(true));
  }, []);

  if (project) return <ProjectPage key={project.id} project={project} path={path} />;
  if (!isAsked) return <Loading label="Opening the project…" />;
  const error = projects.error.value;
  if (error) return <ErrorPage error={error} onRetry={() => void projects.refresh()} />;
  return <NotFoundPage />;
}
