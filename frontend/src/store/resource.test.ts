import { expect, test } from "vitest";
import { HubError } from "../api/errors";
import { Resource } from "./resource";

test("calls during a fetch share one more fetch after it", async () => {
  const answers: ((value: number) => void)[] = [];
  const resource = new Resource<number>(() => new Promise((resolve) => answers.push(resolve)));
  const first = resource.refresh();
  void resource.refresh();
  void resource.refresh();
  answers[0]?.(1);
  await Promise.resolve();
  await Promise.resolve();
  expect(resource.data.value).toBe(1);
  answers[1]?.(2);
  await first;
  expect(resource.data.value).toBe(2);
  expect(answers).toHaveLength(2);
});

test("an error leaves the data that was there, and the next success clears it", async () => {
  let fails = true;
  const resource = new Resource<number>(() => (fails ? Promise.reject(new HubError(503, "unavailable", "Busy.")) : Promise.resolve(5)));
  expect(resource.isFirstLoad.value).toBe(true);
  await resource.refresh();
  expect([resource.isFirstLoad.value, resource.error.value?.message]).toEqual([false, "Busy."]);
  fails = false;
  await resource.refresh();
  fails = true;
  await resource.refresh();
  expect(resource.data.value).toBe(5);
  expect(resource.error.value).not.toBeNull();
});

test("a mistake of ours is not hidden as an answer of the hub", async () => {
  const resource = new Resource<number>(() => Promise.reject(new TypeError("bug")));
  await expect(resource.refresh()).rejects.toThrow("bug");
});
