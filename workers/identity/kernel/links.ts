/** Links: pure, so that views may use them. */
export const selfLink = (root: string, path: string): { self: string } => ({ self: `${root}${path}` })
