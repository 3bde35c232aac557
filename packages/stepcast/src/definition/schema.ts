/**
 * What any validator offers that follows Standard Schema v1 (https://standardschema.dev): zod, valibot, arktype and others.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly "~standard": StandardSchemaV1.Props<Input, Output>;
}

export declare namespace StandardSchemaV1 {
  export interface Props<Input = unknown, Output = Input> {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Result<Output> | Promise<Result<Output>>;
    readonly types?: Types<Input, Output> | undefined;
  }

  export interface Types<Input = unknown, Output = Input> {
    readonly input: Input;
    readonly output: Output;
  }

  export type Result<Output> = SuccessResult<Output> | FailureResult;

  export interface SuccessResult<Output> {
    readonly value: Output;
    readonly issues?: undefined;
  }

  export interface FailureResult {
    readonly issues: readonly Issue[];
  }

  export interface Issue {
    readonly message: string;
    readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  }
}

/** What goes into a schema: what a publisher gives. */
export type InferInput<S> = S extends StandardSchemaV1<infer Input, unknown> ? Input : unknown;

/** What comes out of a schema: what a reader gets. */
export type InferOutput<S> = S extends { readonly "~standard": { readonly types?: infer T } }
  ? NonNullable<T> extends { readonly output: infer Output }
    ? Output
    : unknown
  : unknown;

/**
 * A schema that is only a type: everything passes at run time.
 *
 * @example
 * ```ts
 * const chat = realtime.channel({
 *   name: "chat",
 *   topics: { said: { schema: staticSchema<{ text: string }>() } },
 * });
 * ```
 */
export function staticSchema<T>(): StandardSchemaV1<T, T> {
  return {
    "~standard": { version: 1, vendor: "stepcast", validate: (value) => ({ value: value as T }) },
  };
}
