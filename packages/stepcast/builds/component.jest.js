import { createElement } from "react";
import { renderToString } from "react-dom/server";

import { Chat } from "./component.js";

test("renders", () => expect(renderToString(createElement(Chat))).toBe("<p>paused</p>"));
