/** What a user can act on: printed as one sentence, without a stack. */
export class Problem extends Error {}
