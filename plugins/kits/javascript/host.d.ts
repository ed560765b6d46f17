/** The interfaces of the host, as QuickJS sees them. An error of a result is thrown, as an `Error`
 * whose `payload` says which. Import what you use: a component asks for what its script imports. */

declare module 'wellcheck:check/state' {
  /** What the check keeps from run to run, within its grant `state`. */
  const state: {
    get(key: string): Uint8Array | null;
    set(key: string, value: Uint8Array): void;
    delete(key: string): void;
  };
  export default state;
}

declare module 'wellcheck:check/checks' {
  export interface Standing {
    state: 'pass' | 'warn' | 'fail' | 'unknown';
    reason: string | null;
    message: string;
    ageMs: number | null;
    observations: { name: string; value: number; unit: string | null; labels: [string, string][] }[];
  }
  /** How other checks are: the ones that the grant `checks` names. */
  const checks: { latest(name: string): Standing };
  export default checks;
}

declare module 'wellcheck:check/secrets' {
  /** Values that the grant `secrets` names. */
  const secrets: { get(name: string): string };
  export default secrets;
}

declare module 'wellcheck:check/context' {
  const context: {
    /** Milliseconds until the host ends the run. */
    remainingMs(): bigint;
    failuresInARow(): number;
    traceparent(): string | null;
  };
  export default context;
}
