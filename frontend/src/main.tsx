import { render } from "preact";
import { App } from "./pages/App";
import { expectView } from "./pages/TabArea";
import { route, startRouter } from "./router";
import { watchAnnouncements } from "./store/announcements";
import { watchConnection } from "./store/connection";
import { startKeymap } from "./store/keymap";
import { watchLateParts } from "./store/lateParts";
import { me, watchMe } from "./store/me";
import "./ui/theme.css";
import "./pages/pages.css";
import "./pages/page-dialogs.css";

const root = document.getElementById("app");
if (!root) throw new Error("The page has no #app element.");

startRouter();
startKeymap();
watchConnection();
watchLateParts();
watchMe();
watchAnnouncements();
void me.refresh();
const first = route.peek();
if (first.page === "project" && first.path !== null) expectView(first.path);
render(<App />, root);
