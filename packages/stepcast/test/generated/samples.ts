// What Rust writes, held against what is generated for it. Written by a test of `stepcast-cli`.
import type { Adjacent, External, Flat, Internal, ShapesAnything, ShapesBytes, ShapesMaps, ShapesNewtype, ShapesNulls, ShapesNumbers, ShapesOptions, ShapesPages, ShapesTime, ShapesTokens, ShapesTuple, ShapesUnit, ShapesWithin, Stage, Tree, Untagged, Wrapper } from "./shapes.js";

export const shapesAdjacent: Adjacent[] = [
  {"t":"Plain"},
  {"t":"One","c":1},
  {"t":"Fields","c":{"a":1}},
];

export const shapesAnything: ShapesAnything[] = [
  {"value":null},
  {"value":{"a":1},"more":"b"},
];

export const shapesBytes: ShapesBytes[] = [
  [1,2],
];

export const shapesExternal: External[] = [
  "Plain",
  {"One":1},
  {"Two":[1,2]},
  {"Fields":{"a":null}},
];

export const shapesFlat: Flat[] = [
  {"name":"a","x":1,"within":{"x":-1,"within":null},"type":"plain"},
  {"name":"a","x":1,"within":{"x":-1,"within":null},"type":"fields","a":1},
];

export const shapesInternal: Internal[] = [
  {"type":"plain"},
  {"type":"placed","x":1,"within":{"x":-1,"within":null}},
  {"type":"fields","a":1},
];

export const shapesMaps: ShapesMaps[] = [
  {"texts":{"a":1.5},"numbers":{"7":["begun"]},"any":{"a":[1]}},
];

export const shapesNewtype: ShapesNewtype[] = [
  "a",
];

export const shapesNulls: ShapesNulls[] = [
  {"step":null},
  {"step":"a"},
];

export const shapesNumbers: ShapesNumbers[] = [
  {"small":-1,"large":9007199254740991,"float":0.5,"char":"a","unit":null,"array":[0.5,1.0]},
];

export const shapesOptions: ShapesOptions[] = [
  {"message":"a \"b\"\n","renamed-field":true},
  {"message":"a \"b\"\n","step":"a","stage":"over","place":{"x":1,"within":{"x":-1,"within":null}},"list":["a"],"renamed-field":true},
];

export const shapesPages: ShapesPages[] = [
  {"texts":{"items":["a"],"next":null},"places":{"items":[{"x":1,"within":{"x":-1,"within":null}}],"next":1},"pairs":{"items":[[1,true]],"next":null}},
];

export const shapesStage: Stage[] = [
  "not-begun",
  "begun",
];

export const shapesTime: ShapesTime[] = [
  {"at":"2026-11-25T10:00:00Z"},
  {"at":"2026-11-25T10:00:00Z","day":"2026-11-25"},
];

export const shapesTokens: ShapesTokens[] = [
  {"token":"a"},
];

export const shapesTree: Tree[] = [
  {"Node":[{"Leaf":"a"},{"Node":[]}]},
];

export const shapesTuple: ShapesTuple[] = [
  [1,"a",null],
  [1,"a",true],
];

export const shapesUnit: ShapesUnit[] = [
  null,
];

export const shapesUntagged: Untagged[] = [
  1,
  "a",
  {"x":1,"within":{"x":-1,"within":null}},
];

export const shapesWithSpaces: Wrapper[] = [
  "a",
];

export const shapesWithin: ShapesWithin[] = [
  ["Unit",{"Nulls":{"step":null}}],
];
