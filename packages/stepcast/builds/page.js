export { useRealtime } from "stepcast/react";
