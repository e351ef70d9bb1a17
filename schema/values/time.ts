/** Time, passed in. Milliseconds since the epoch inside; the API's texts only in views. */
export interface Clock {
  now_ms(): number
}

export const systemClock: Clock = { now_ms: () => Date.now() }

/** 2026-01-02T03:04:05Z: Nova's and Glance's form. */
export const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
/** 2026-01-02T03:04:05.000000Z: Keystone's form, and with no Z Cinder's. */
export const isoMicros = (ms: number): string => `${new Date(ms).toISOString().slice(0, 23)}000Z`
export const isoMicrosNoZone = (ms: number): string => `${new Date(ms).toISOString().slice(0, 23)}000`
