import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { hubUrl } from "../address";
import { registerCommands } from "../store/commands";
import { isSignedOut, me, signInUrl, signOut, chooseTheme } from "../store/me";
import { adminUrl, navigate, route, type Route } from "../router";
import { Button } from "../ui/Button";
import { Layers } from "../ui/layers";
import { openPalette, Palette } from "../ui/Palette";
import { Loading } from "../ui/Progress";
import { Toasts } from "../ui/toast";
import { AccountPage } from "./AccountPage";
import { ActingBanner } from "./ActingBanner";
import { AnnouncementBanner } from "./AnnouncementBanner";
import { Dashboard } from "./Dashboard";
import { ErrorPage, NotFoundPage } from "./ErrorPage";
import { openHelp } from "./help";
import { lazyPage } from "./LazyPage";
import { OfflineBanner } from "./OfflineBanner";
import { ProjectGate } from "./ProjectGate";

const AdminPage = lazyPage(() => import("./admin/AdminPage").then((module) => module.AdminPage));
const UsagePage = lazyPage(() => import("./UsagePage").then((module) => module.UsagePage));
const MyTeamsPage = lazyPage(() => import("./teams/MyTeamsPage").then((module) => module.MyTeamsPage));

/** The page the address names, and what may lie above any page. */
export function App() {
  useEffect(() => registerCommands(APP_COMMANDS), []);
  const person = me.data.value;
  const error = me.error.value;
  const current = route.value;

  return (
    <>
      <a class="skip-link" href="#main">
        Skip to content
      </a>
      <OfflineBanner />
      <ActingBanner />
      <AnnouncementBanner />
      {isSignedOut.value ? <SignedOut /> : null}
      {person ? <Page current={current} /> : error && !isSignedOut.value ? <ErrorPage error={error} onRetry={() => void me.refresh()} /> : isSignedOut.value ? null : <Loading />}
      <Palette />
      <Layers />
      <Toasts />
    </>
  );
}

function Page({ current }: { current: Route }) {
  switch (current.page) {
    case "dashboard":
      return <Dashboard />;
    case "project":
      return <ProjectGate key={`${current.team}/${current.project}`} team={current.team} slug={current.project} path={current.path} />;
    case "account":
      return <AccountPage />;
    case "usage":
      return <UsagePage />;
    case "teams":
      return <MyTeamsPage team={current.team} />;
    case "admin":
      return <AdminPage section={current.section} item={current.item} />;
    case "not-found":
      return <NotFoundPage />;
  }
}

function SignedOut() {
  // Nothing is on the page that could be lost: go and sign in. Otherwise stay, so that it can be copied or sent later.
  useEffect(() => {
    if (me.data.peek() === null) location.replace(signInUrl());
  }, []);
  if (me.data.value === null) return null;
  return (
    <div class="signed-out" role="alert">
      <p>You are signed out. What you have open stays here until you sign in again.</p>
      <Button kind="primary" onClick={() => window.open(signInUrl(), "_blank", "noopener")}>
        Sign in
      </Button>
      <Button
        onClick={() => {
          isSignedOut.value = false;
          void me.refresh();
        }}
      >
        I am back
      </Button>
    </div>
  );
}

const APP_COMMANDS = [
  { id: "app.palette", title: "Show all commands", group: "Everywhere", keys: ["Mod-Shift-P", "Mod-K"], whileTyping: true, inPalette: false, run: () => openPalette("commands") },
  { id: "app.help", title: "Show keyboard shortcuts", group: "Everywhere", keys: ["F1"], whileTyping: true, run: openHelp },
  { id: "app.go-dashboard", title: "Go to my projects", group: "Everywhere", run: () => navigate(hubUrl("/")) },
  { id: "app.go-account", title: "Go to my account", group: "Everywhere", run: () => navigate(hubUrl("/account")) },
  { id: "app.go-usage", title: "Go to my usage", group: "Everywhere", run: () => navigate(hubUrl("/usage")) },
  { id: "app.go-teams", title: "Go to my teams", group: "Everywhere", run: () => navigate(hubUrl("/teams")) },
  { id: "app.go-admin", title: "Go to the admin panel", group: "Everywhere", when: () => Boolean(me.data.value?.administers), run: () => navigate(adminUrl("overview")) },
  { id: "app.theme-light", title: "Theme: light", group: "Everywhere", run: () => chooseTheme("light") },
  { id: "app.theme-dark", title: "Theme: dark", group: "Everywhere", run: () => chooseTheme("dark") },
  { id: "app.theme-system", title: "Theme: as the system", group: "Everywhere", run: () => chooseTheme("system") },
  { id: "app.sign-out", title: "Sign out", group: "Everywhere", run: signOut },
];

const TITLES: Readonly<Record<Route["page"], string>> = { dashboard: "Projects", account: "Account", usage: "Usage", teams: "Teams", admin: "Admin", project: "Project", "not-found": "Not found" };

effect(() => {
  // The project page names its file itself, the admin panel its part.
  if (route.value.page !== "project" && route.value.page !== "admin") document.title = `${TITLES[route.value.page]} · Zasper Hub`;
});
