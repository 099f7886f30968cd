import type { HubError } from "../../api/errors";

/**
 * What is wrong with each field, from a refusal: its `details.fields`, else its `details.field`, else a message that
 * begins with a field's name. What belongs to none of the fields is under the empty name.
 */
export function fieldProblems(refusal: HubError, fields: readonly string[]): Record<string, string> {
  const named = refusal.details["fields"];
  if (typeof named === "object" && named !== null && !Array.isArray(named)) {
    const found: Record<string, string> = {};
    for (const [name, problem] of Object.entries(named)) {
      if (typeof problem === "string") found[fields.includes(name) ? name : ""] = problem;
    }
    if (Object.keys(found).length > 0) return found;
  }
  const field = refusal.details["field"] ?? refusal.details["quota"];
  if (typeof field === "string" && fields.includes(field)) return { [field]: refusal.message };
  return { "": refusal.message };
}
