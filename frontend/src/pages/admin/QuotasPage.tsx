import { useEffect, useState } from "preact/hooks";
import { requestJson } from "../../api/client";
import { HubError } from "../../api/errors";
import { adminUrl, navigate, query } from "../../router";
import { Icon } from "../../ui/Icon";
import { PageHead } from "./parts";
import { QuotaEditor } from "./QuotaEditor";
import type { AdminPerson, AdminTeam } from "./types";
import { useFetched, type Listed } from "./useList";

/** The limits of the site, of a team and of a person, one place for all three. */
export function QuotasPage() {
  const asked = new URLSearchParams(query.value);
  const team = asked.get("team");
  const person = asked.get("person");
  const level = team !== null ? "team" : person !== null ? "person" : "site";
  const path = level === "site" ? "admin/quotas" : team ? `admin/teams/${encodeURIComponent(team)}/quotas` : person ? `admin/people/${encodeURIComponent(person)}/quotas` : null;
  return (
    <div class="admin-content">
      <PageHead title="Quotas" note="The most specific one counts: what is set for a person, else for their team, else for the site." />
      <div class="level-choice">
        <nav class="segments" aria-label="Level">
          <a href={adminUrl("quotas")} aria-current={level === "site" ? "page" : undefined}>
            Site
          </a>
          <a href={adminUrl("quotas", null, "team=")} aria-current={level === "team" ? "page" : undefined}>
            Team
          </a>
          <a href={adminUrl("quotas", null, "person=")} aria-current={level === "person" ? "page" : undefined}>
            Person
          </a>
        </nav>
        {level === "team" && <TeamChoice team={team ?? ""} />}
        {level === "person" && <PersonChoice person={person ?? ""} />}
        {team && <a href={adminUrl("teams", team)}>Team’s page</a>}
        {person && <a href={adminUrl("people", person)}>Person’s page</a>}
      </div>
      {path ? (
        <QuotaEditor key={path} path={path} />
      ) : (
        <div class="table-empty">
          <Icon name="gauge" size={24} />
          <p>Choose {level === "team" ? "a team" : "a person"} to see and change what counts for {level === "team" ? "it" : "them"}.</p>
        </div>
      )}
    </div>
  );
}

function TeamChoice({ team }: { team: string }) {
  const teams = useFetched<Listed<AdminTeam>>("admin/teams?limit=200&personal=0");
  return (
    <select class="input" aria-label="Team" value={team} onChange={(event) => navigate(adminUrl("quotas", null, `team=${encodeURIComponent(event.currentTarget.value)}`))}>
      <option value="">Choose a team…</option>
      {teams.data?.items.map((each) => (
        <option key={each.slug} value={each.slug}>
          {each.name}
        </option>
      ))}
    </select>
  );
}

const SUGGEST_AFTER_MS = 200;

function PersonChoice({ person }: { person: string }) {
  const [text, setText] = useState(person);
  const [found, setFound] = useState<readonly AdminPerson[]>([]);
  useEffect(() => setText(person), [person]);
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      requestJson<Listed<AdminPerson>>("admin/people", { query: { search: text.trim() || undefined, limit: 20 }, signal: controller.signal }).then(
        (answer) => setFound(answer.items),
        (refusal: unknown) => {
          // Suggestions are a help only: without them the name can be typed.
          if (!(refusal instanceof HubError) && !(refusal instanceof DOMException)) throw refusal;
        },
      );
    }, SUGGEST_AFTER_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text]);
  const choose = (username: string) => navigate(adminUrl("quotas", null, `person=${encodeURIComponent(username)}`));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        choose(text.trim());
      }}
    >
      <input
        class="input"
        type="text"
        list="people-found"
        aria-label="Person"
        placeholder="Name or username"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        maxLength={150}
        value={text}
        onInput={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          if (found.some((each) => each.username === typed)) choose(typed);
        }}
      />
      <datalist id="people-found">
        {found.map((each) => (
          <option key={each.username} value={each.username}>
            {each.display_name}
          </option>
        ))}
      </datalist>
    </form>
  );
}
