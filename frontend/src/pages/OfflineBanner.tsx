import { isHubReachable } from "../store/connection";
import { Icon } from "../ui/Icon";

/** A quiet line while the hub is away; editing goes on below it. */
export function OfflineBanner() {
  if (isHubReachable.value) return null;
  return (
    <div class="banner" role="status">
      <Icon name="offline" size={14} />
      <span>The hub does not answer. You can go on working; everything is sent when it is back.</span>
    </div>
  );
}
