// Refusals of the mock.

/** A problem as the service says it. */
export function problem(code, detail) {
  return { type: "urn:isotherm:problem:mock", title: "Mock", status: code, detail };
}

/** What a handler throws to refuse a request. */
export class Refusal extends Error {
  constructor(code, detail) {
    super(detail);
    this.code = code;
  }
}
