import { hubUrl } from "../address";
import type { HubError } from "../api/errors";
import { Button } from "../ui/Button";
import { Icon, type IconName } from "../ui/Icon";
import { TopBar } from "./TopBar";

export function NotFoundPage() {
  return (
    <div class="page">
      <TopBar />
      <main id="main" class="message-page">
        <Message icon="search" title="There is nothing here" text="The address may be mistyped, or what was here is gone, or you have no access to it." />
        <a class="button button-plain" href={hubUrl("/")}>
          Go to my projects
        </a>
      </main>
    </div>
  );
}

/** A page that could not be loaded, with the reason and another try. */
export function ErrorPage({ error, onRetry }: { error: HubError; onRetry: () => void }) {
  return (
    <main id="main" class="message-page">
      <Message icon={error.isOffline ? "offline" : "warning"} title={error.isOffline ? "The hub does not answer" : "This did not work"} text={error.message} />
      <div class="message-actions">
        <Button kind="primary" icon="refresh" onClick={onRetry}>
          Try again
        </Button>
        <a class="button button-plain" href={hubUrl("/")}>
          Go to my projects
        </a>
      </div>
    </main>
  );
}

export function Message({ icon, title, text }: { icon: IconName; title: string; text: string }) {
  return (
    <div class="message" role="status">
      <Icon name={icon} size={28} />
      <h1>{title}</h1>
      <p>{text}</p>
    </div>
  );
}
