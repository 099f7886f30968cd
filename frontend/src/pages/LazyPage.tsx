import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Button } from "../ui/Button";
import { Loading } from "../ui/Progress";
import { Message } from "./ErrorPage";
import { TopBar } from "./TopBar";

/** A page whose code is fetched when somebody goes there. Call once per page, outside of components. */
export function lazyPage<Props extends object>(load: () => Promise<FunctionComponent<Props>>): FunctionComponent<Props> {
  let loaded: FunctionComponent<Props> | undefined;
  return function LazyPage(props: Props) {
    const [, setLoaded] = useState(loaded !== undefined);
    const [hasFailed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded || hasFailed) return;
      let isGone = false;
      load().then(
        (page) => {
          loaded = page;
          if (!isGone) setLoaded(true);
        },
        () => {
          if (!isGone) setFailed(true);
        },
      );
      return () => {
        isGone = true;
      };
    }, [hasFailed]);
    const Page = loaded;
    if (Page) return <Page {...props} />;
    return (
      <div class="page">
        <TopBar />
        {hasFailed ? (
          <main id="main" class="message-page">
            <Message icon="offline" title="This page could not be loaded" text="The hub did not answer, or it was updated meanwhile." />
            <div class="message-actions">
              <Button kind="primary" icon="refresh" onClick={() => setFailed(false)}>
                Try again
              </Button>
              <Button onClick={() => location.reload()}>Reload the page</Button>
            </div>
          </main>
        ) : (
          <Loading />
        )}
      </div>
    );
  };
}
