/** The same clients of S3 by a host's door. */
process.env.SKYHOOK_TEST_S3_DOOR = '1'
await import('./s3.test.ts')
