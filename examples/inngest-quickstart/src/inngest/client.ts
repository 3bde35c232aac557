import { Inngest } from "inngest";
import { PublishMiddleware } from "stepcast/inngest";

export const inngest = new Inngest({ id: "drafts", middleware: [PublishMiddleware] });
