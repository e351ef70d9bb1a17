/** The product's version, said by the plane and by each agent; package.json must say the same (test/tidy.test.ts). */
export const VERSION = '0.1.0'
