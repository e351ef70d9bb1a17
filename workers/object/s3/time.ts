/** Times as S3 shows them: the second that Last-Modified has, which is rounded up, so that a listing and a HEAD agree. Pure. */
export const s3Time = (timestamp: string): string => new Date(Math.ceil(Number(timestamp)) * 1000).toISOString()
export const s3TimeOfMs = (ms: number): string => new Date(ms).toISOString()
