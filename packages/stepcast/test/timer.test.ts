import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createTimer } from "../src/connection/timer.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test("what is put off again and again happens once, after the last time", () => {
  const timer = createTimer();
  const happened: number[] = [];
  for (let at = 0; at < 10; at += 1) {
    timer.set(100, () => happened.push(at));
    vi.advanceTimersByTime(30);
  }
  expect(happened).toEqual([]);
  vi.advanceTimersByTime(69);
  expect(happened).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(happened).toEqual([9]);
  vi.advanceTimersByTime(1_000);
  expect(happened).toEqual([9]);
});

test("what is to happen sooner does", () => {
  const timer = createTimer();
  const happened: string[] = [];
  timer.set(100, () => happened.push("late"));
  timer.set(10, () => happened.push("soon"));
  vi.advanceTimersByTime(10);
  expect(happened).toEqual(["soon"]);
  vi.advanceTimersByTime(1_000);
  expect(happened).toEqual(["soon"]);
});

test("what is cleared does not happen, also when it was put off", () => {
  const timer = createTimer();
  const happened = vi.fn();
  timer.set(10, happened);
  timer.set(100, happened);
  timer.clear();
  vi.advanceTimersByTime(1_000);
  expect(happened).not.toHaveBeenCalled();
  timer.set(10, happened);
  vi.advanceTimersByTime(10);
  expect(happened).toHaveBeenCalledTimes(1);
});

test("what happens may set it anew", () => {
  const timer = createTimer();
  let times = 0;
  const happen = () => {
    times += 1;
    if (times < 3) timer.set(10, happen);
  };
  timer.set(10, happen);
  vi.advanceTimersByTime(30);
  expect(times).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
});

test("thousands of times cost one timer of the environment", () => {
  const timer = createTimer();
  const environment = vi.spyOn(globalThis, "setTimeout");
  for (let at = 0; at < 10_000; at += 1) timer.set(100, () => {});
  expect(environment).toHaveBeenCalledTimes(1);
});
