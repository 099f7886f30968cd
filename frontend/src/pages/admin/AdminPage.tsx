import { useEffect, useRef } from "preact/hooks";
import { hubUrl } from "../../address";
import { adminUrl, navigate } from "../../router";
import { registerCommands } from "../../store/commands";
import { me } from "../../store/me";
import { Icon } from "../../ui/Icon";
import { NotFoundPage } from "../ErrorPage";
import { TopBar } from "../TopBar";
import { sectionsFor } from "./sections";
import "./admin.css";
import "./admin-lists.css";

/** The admin panel: its parts at the side, the chosen one beside them. */
export function AdminPage({ section, item }: { section: string; item: string | null }) {
  const administers = me.data.value?.administers ?? null;
  const sections = sectionsFor(administers);
  const current = sections.find((entry) => entry.id === section && (item === null || entry.hasItems));
  const main = useRef<HTMLElement>(null);
  const nav = useRef<HTMLElement>(null);

  useEffect(
    () =>
      registerCommands(
        sections.map((entry) => ({ id: `admin.go-${entry.id}`, title: `Admin: ${entry.title}`, group: "Admin panel", run: () => navigate(adminUrl(entry.id)) })),
      ),
    [administers],
  );
  useEffect(() => {
    document.title = `${item ?? current?.title ?? "Not found"} · Admin · Zasper Hub`;
    main.current?.scrollTo({ top: 0 });
    nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [section, item]);

  if (!current) return <NotFoundPage />;
  const Page = current.page;
  return (
    <div class="page admin-page">
      <TopBar>
        <span class="top-title">Admin</span>
      </TopBar>
      <div class="admin-body">
        <nav ref={nav} class="admin-nav" aria-label="Admin panel">
          <ul>
            {sections.map((entry) => (
              <li key={entry.id}>
                <a class="admin-nav-item" href={adminUrl(entry.id)} aria-current={entry.id === section ? "page" : undefined}>
                  <Icon name={entry.icon} />
                  <span>{entry.title}</span>
                </a>
              </li>
            ))}
          </ul>
          {administers === "hub" && (
            <a class="admin-nav-item admin-nav-last" href={hubUrl("/admin/records/")} title="Every record in the database, by Django’s own forms">
              <Icon name="external" />
              <span>Records</span>
            </a>
          )}
        </nav>
        <main id="main" ref={main} class="admin-main" tabIndex={-1}>
          <Page key={`${section}/${item ?? ""}`} item={item} />
        </main>
      </div>
    </div>
  );
}
