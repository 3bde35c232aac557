// What generated channels are to those who use them.
import type { Message } from "stepcast";

import { pipeline } from "../../../../examples/quickstart/channels.js";
import { lobby, shapes, type ShapesOptions, type Stage } from "./shapes.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>) => {};

const one = shapes({ orgId: "acme", class: "a" });
same<Message<typeof one, "options">["data"], ShapesOptions>(true);
same<ShapesOptions["step"], string | undefined>(true);
same<Stage, "not-begun" | "begun" | "over">(true);
same<(typeof lobby)["name"], "lobby \"a\" `b`">(true);
same<Message<typeof one, "unit">["data"], null>(true);
pipeline({ job: "j1" }).status.topic satisfies string;

// @ts-expect-error a parameter is missing
shapes({ orgId: "acme" });
// @ts-expect-error there is no such topic
one.other;
// @ts-expect-error it is left out and never null
const nothing: ShapesOptions = { message: "", "renamed-field": true, step: null };

export { nothing };
