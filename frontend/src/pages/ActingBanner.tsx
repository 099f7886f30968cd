import { useState } from "preact/hooks";
import { request } from "../api/client";
import { messageOf } from "../api/errors";
import { adminUrl } from "../router";
import { me, shownName } from "../store/me";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { toast } from "../ui/toast";

/** As long as an administrator acts as somebody: who, until when, and the way out. And for that somebody: that it is so. */
export function ActingBanner() {
  const person = me.data.value;
  if (!person) return null;
  if (person.acting_as) return <Acting name={shownName(person)} administrator={person.acting_as.administrator} endsAt={person.acting_as.ends_at} />;
  const [by] = person.acted_on_by ?? [];
  if (!by) return null;
  return (
    <div class="banner" role="status">
      <Icon name="eye" size={14} />
      <span>
        The administrator {by.administrator} acts in your name since {timeOf(by.started_at)}. What they do is noted with both names.
      </span>
    </div>
  );
}

function Acting({ name, administrator, endsAt }: { name: string; administrator: string; endsAt: string }) {
  const [isBusy, setBusy] = useState(false);
  const stop = async () => {
    setBusy(true);
    try {
      await request("acting", { method: "DELETE" });
      location.assign(adminUrl("people"));
    } catch (refusal) {
      toast({ kind: "error", text: messageOf(refusal) });
      setBusy(false);
    }
  };
  return (
    <div class="banner banner-acting" role="status">
      <Icon name="eye" size={14} />
      <span>
        <strong>{administrator}</strong>, you act as <strong>{name}</strong> until {timeOf(endsAt)}. They can see that you did.
      </span>
      <Button busy={isBusy} onClick={stop}>
        Stop acting
      </Button>
    </div>
  );
}

function timeOf(time: string): string {
  return new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
